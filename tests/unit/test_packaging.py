"""The wheel, built by way of the source distribution, holds every file of the four folders and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("actors", "autoscaler", "cluster", "configs")


def test_the_wheel_holds_the_folders_under_raybeam(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*build, "-t", "sdist", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = [path for path in tmp_path.iterdir() if path.is_dir()]
    subprocess.run([*build, "-t", "wheel", "-d", str(tmp_path)], cwd=unpacked, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")

    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    wanted = {
        f"raybeam/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == wanted | {"raybeam/__init__.py", "raybeam/py.typed"}
