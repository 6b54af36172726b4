"""The public face of each folder is what its `__all__` lists."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["actors", "cluster"])
def test_every_public_name_exists(folder: str) -> None:
    module = importlib.import_module(f"raybeam.{folder}")

    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("folder", ["actors", "autoscaler", "cluster", "configs"])
def test_the_bare_name_of_a_folder_cannot_be_imported(folder: str) -> None:
    tried = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert tried.returncode != 0
    assert f"raybeam.{folder}" in tried.stderr


def test_actors_do_not_import_ray() -> None:
    code = "import sys, raybeam.actors; sys.exit('ray' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_dir_shows_public_names_only() -> None:
    module = importlib.import_module("raybeam.actors")

    assert dir(module) == sorted(module.__all__)
    assert module.Statistics.__name__ == "Statistics"


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        ("gen_server", "call", r"use request\(destination, message\)"),
        ("gen_server", "cast", "use tell"),
        ("gen_server", "reply", r"use sender\.reply"),
        ("gen_statem", "call", r"use gen_server\.request"),
        ("gen_statem", "cast", r"use gen_server\.tell"),
        ("gen_statem", "stop", r"use gen_server\.stop"),
        ("gen_statem", "reply", "ReplyTo"),
        ("gen_statem", "zork", "has no attribute 'zork'"),
    ],
)
def test_the_names_of_otp_lead_to_those_here(module: str, name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(importlib.import_module(f"raybeam.actors.{module}"), name)
