"""The contract of the behaviours in a runtime of the test's own, under virtual time."""

import pytest

from raybeam.actors import Runtime
from raybeam.actors.testing import run
from tests.contract.expected import EXPECTED
from tests.contract.scenes import SCENES, play


def test_every_scene_is_expected_something_of() -> None:
    assert SCENES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_contract_holds_in_memory(name: str) -> None:
    async def main() -> list[object]:
        async with Runtime(reports=lambda report: None):
            return await play(name)

    assert run(main()) == EXPECTED[name]
