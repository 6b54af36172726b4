"""What the README shows in code is true."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_driver_script_is_the_example() -> None:
    assert (ROOT / "examples" / "driver.py").read_text() in BLOCKS


def test_the_example_of_a_test_runs() -> None:
    [example] = [block for block in BLOCKS if "raybeam.actors.testing" in block]

    exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
