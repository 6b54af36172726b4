"""What the manuals show in code runs, and the options that they list are those that there are."""

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from raybeam import actors
from raybeam.actors import (
    CoDel,
    Damper,
    DeadlineDrop,
    Fair,
    GenServer,
    Gradient,
    Priorities,
    Rate,
    Refusal,
    Regulation,
    RegulationCounters,
)
from raybeam.cluster import Blueprint
from raybeam.cluster.cli import main

DOCS = Path(__file__).parents[2] / "docs"
REGULATION = (DOCS / "regulation.md").read_text()


@pytest.mark.parametrize("manual", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_the_examples_of_a_manual_run(manual: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", manual.read_text(), flags=re.DOTALL):
        exec(compile(block, str(manual), "exec"), {"__name__": "manual"})


def test_the_blueprint_of_the_manual_is_valid() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", REGULATION, flags=re.DOTALL)
    data: Any = OmegaConf.to_container(OmegaConf.create(block))
    data["families"]["shop"]["service"] = GenServer

    assert Blueprint.parse({"name": "manual", **data}).families["shop"].regulation is not None


def test_the_blueprint_of_the_manual_of_scaling_is_valid() -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", (DOCS / "autoscaling.md").read_text(), flags=re.DOTALL)
    data: Any = OmegaConf.to_container(OmegaConf.create(block))
    data["families"]["stock"]["service"] = GenServer
    blueprint = Blueprint.parse(data)

    assert blueprint.machines["ray.worker.small"].max_machines == 12
    assert blueprint.families["stock"].scaling is not None


def test_the_tests_that_the_manual_of_scaling_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "autoscaling.md").read_text()))
    written = "".join(path.read_text() for path in DOCS.parent.glob("tests/unit/**/test_*.py"))

    assert {name for name in named if f"def {name}(" not in written} == set()


@pytest.mark.parametrize(
    "part", [Regulation, CoDel, Rate, Gradient, Priorities, Fair, DeadlineDrop, Damper, RegulationCounters]
)
def test_the_manual_tells_of_every_option(part: type) -> None:
    for option in fields(part):
        assert re.search(rf"`{option.name}\b", REGULATION), option.name


def test_the_manual_tells_of_every_reason() -> None:
    for reason in Refusal:
        assert f"| `{reason.value}` |" in REGULATION


def test_the_names_that_the_table_of_otp_leads_to_are_there() -> None:
    rows = re.findall(r"^\|.*\|(.*)\|$", (DOCS / "otp.md").read_text(), flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(?:await )?((?:[a-z_]+\.)?[A-Za-z_]+)", row)}
    functions = [
        name.split(".")
        for name in named
        if re.match(r"(gen_\w+|process|\w*supervisor|registry|pg|alarm_handler)\.", name)
    ]
    classes = [name for name in named if re.fullmatch(r"[A-Z][a-z]\w+", name)]

    assert len(functions) > 50
    assert [name for name in functions if not hasattr(getattr(actors, name[0]), name[1])] == []
    assert [name for name in classes if name not in {*actors.__all__, "None", "Global"}] == []


def commands() -> list[list[str]]:
    """The commands that manuals and the README show, without what only a sweep can have."""
    found = []
    for manual in (*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"):
        for block in re.findall(r"```console\n(.*?)```", manual.read_text(), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["raybeam"]:
                    sweep = "-m" in words
                    one = [word.partition(",")[0] if sweep else word for word in words[1:] if word != "-m"]
                    found.append([word for word in one if not word.startswith("--config-dir")])
    return found


@pytest.mark.usefixtures("logging_stays_as_it_was")
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_commands_of_a_manual_are_understood(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    status = main([*(word for word in command if word != "policy=tuned"), "--cfg", "job"])

    told = capfd.readouterr()
    assert status == 0, told.err
    assert "seed:" in told.out
