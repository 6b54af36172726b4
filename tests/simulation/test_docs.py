"""What docs/simulation.md shows is true."""

import re
from pathlib import Path

from raybeam.cluster.simulation import PROMISES
from raybeam.cluster.simulation.faults import KINDS

TEXT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()


def test_the_example_runs() -> None:
    [example] = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)

    exec(compile(example, "docs/simulation.md", "exec"), {"__name__": "docs_simulation"})


def test_every_fault_and_every_promise_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", TEXT))

    assert {kind.__name__ for kind in KINDS} | {promise.__name__ for promise in PROMISES} <= told
