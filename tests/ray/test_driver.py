"""The driver script that the README shows runs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_driver_script_runs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "driver.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.stdout.splitlines() == ["left after taking 3: 7", "refused: only 7 left"], ran.stderr
    assert ran.returncode == 0
