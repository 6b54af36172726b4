"""Blueprint: what is wrong is named with field, value and mend."""

import pytest

from raybeam.actors import BlueprintError, GenServer
from raybeam.cluster import Blueprint


class Stock(GenServer):
    """A service."""


def blueprint(**changes: object) -> dict[str, object]:
    return {"name": "shop", "families": {"stock": {"service": Stock}}} | changes


def family(**changes: object) -> dict[str, object]:
    return blueprint(families={"stock": {"service": Stock} | changes})


def test_defaults_are_filled_in() -> None:
    parsed = Blueprint.parse(blueprint())

    assert parsed.families["stock"].replicas == 1
    assert parsed.families["stock"].service_class() is Stock
    assert Blueprint.parse(parsed) is parsed


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (blueprint(name="My Shop"), "name: String should match pattern"),
        (blueprint(families={}), "families: Dictionary should have at least 1 item"),
        (blueprint(orphan_timeout=3), "orphan_timeout: no such field; did you mean 'orphan_timeout_s'?"),
        (blueprint(orphan_timeout_s=3), "must be above down_after_s=4.0"),
        (family(replicas=0), "families.stock.replicas: Input should be greater than or equal to 1 (got 0)"),
        (family(replica=2), "families.stock.replica: no such field; did you mean 'replicas'?"),
        (family(pattern="singleton", replicas=2), "a singleton has 1 replica, not 2"),
        (family(service="no.such.module:Stock"), "cannot be imported: No module named 'no'"),
        (family(service="raybeam.actors:GenServr"), "did you mean 'GenServer'?"),
        (family(service="raybeam.actors"), "write it as 'package.module:Class'"),
        (family(service="collections:Counter"), "derive the class from raybeam.actors.GenServer"),
        (family(calls=["stok"]), "which is no family; did you mean 'stock'?"),
        (family(spread="everywhere"), "families.stock.spread"),
        (
            blueprint(health={"beat_s": 2.0, "unknown_after_s": 1.0}),
            "health: need beat_s < unknown_after_s < down_after_s",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(data: dict[str, object], told: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        Blueprint.parse(data)

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
