"""What the manual of the simulator shows in code runs."""

import re
from pathlib import Path

import pytest

MANUAL = Path(__file__).parents[4] / "docs" / "simulator.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = re.findall(r"```python\n(.*?)```", MANUAL.read_text(), flags=re.DOTALL)

    exec(compile(example, str(MANUAL), "exec"), {"__name__": "manual"})
    late, wait_s, hours, actions, scored = (float(word) for word in capsys.readouterr().out.split())
    assert 0 < late < 100
    assert wait_s > 1
    assert hours > 1
    assert 5 < actions < 30
    assert scored > 1
