"""The main job in its short form, end to end: kill included, figures checked, nothing left."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def test_the_short_form_of_the_main_job_holds_every_rule(tmp_path: Path) -> None:
    marker = uuid.uuid4().hex
    played = subprocess.run(
        [
            sys.executable,
            "-m",
            "raybeam.cluster.cli",
            "run",
            "cluster.dashboard=false",
            "workload.until_min=720",
            "workload.speedup=4320",
            "workload.kill_at=0.5",
            f"summary={tmp_path}/summary.json",
            f"report={tmp_path}/report.html",
            f"hydra.run.dir={tmp_path}/hydra",
        ],
        cwd=ROOT,
        env={**os.environ, "RAYBEAM_TEST_RUN": marker},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert played.returncode == 0, played.stdout + played.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["ok"]
    assert all(rule["held"] for rule in summary["rules"])
    assert summary["rebooked"] + summary["stranded"] == summary["passengers"] > 1000
    assert summary["killed"].startswith("flights/rebooking/")
    assert summary["families"]["rebooking"]["restarts"] == 1
    assert "every rule held" in (tmp_path / "report.html").read_text()
    assert "(raylet)" not in played.stdout
    processes = psutil.process_iter(["environ", "cmdline"])
    assert [process for process in processes if marker in (process.info["environ"] or {}).values()] == []
