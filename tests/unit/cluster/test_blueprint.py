"""Blueprint: what is wrong is named with field, value and mend."""

import re
from pathlib import Path
from typing import Any

import pytest

from raybeam.actors import BlueprintError, CoDel, Fair, GenServer, Gradient, Overflow, Priorities, Regulation
from raybeam.cluster import Blueprint, HealthLimits


class Stock(GenServer):
    """A service."""

    async def init(self) -> None: ...


def blueprint(**changes: object) -> dict[str, object]:
    return {"name": "shop", "families": {"stock": {"service": Stock}}} | changes


def family(**changes: object) -> dict[str, object]:
    return blueprint(families={"stock": {"service": Stock} | changes})


def regulated(**options: object) -> dict[str, object]:
    return family(regulation=options)


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
        (family(replicas=True), "families.stock.replicas: Input should be a valid integer (got True)"),
        (family(replicas="2"), "families.stock.replicas: Input should be a valid integer (got '2')"),
        (family(args=(1, 2)), "args=(1, 2) do not fit Stock.init(self) -> None: too many positional arguments"),
        (family(replica=2), "families.stock.replica: no such field; did you mean 'replicas'?"),
        (family(pattern="singleton", replicas=2), "a singleton has 1 replica, not 2"),
        (family(service="no.such.module:Stock"), "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        (family(service="raybeam.actors:GenServr"), "did you mean 'GenServer'?"),
        (family(service="raybeam.actors"), "write it as 'package.module:Class'"),
        (family(service="collections:Counter"), "derive the class from raybeam.actors.GenServer"),
        (family(calls=["stok"]), "which is no family; did you mean 'stock'?"),
        (family(spread="everywhere"), "families.stock.spread"),
        (
            blueprint(health={"beat_s": 2.0, "unknown_after_s": 1.0}),
            "health: beat_s=2.0, unknown_after_s=1.0, down_after_s=4.0: need 0 < beat_s < unknown_after_s < down",
        ),
        (blueprint(health={"beat": 1}), "health.beat: no such field; did you mean 'beat_s'?"),
        (
            blueprint(health={"pulse": 1}),
            "health.pulse: no such field; there are: beat_s, unknown_after_s, down_after_s (got 1)",
        ),
        (blueprint(health={"down_after_s": float("inf")}), "health.down_after_s: Input should be a finite number"),
        (regulated(queue_limit=0), "families.stock.regulation: queue_limit=0: give 1 or more"),
        (regulated(code={}), "regulation.code: no such field; did you mean 'codel'?"),
        (
            regulated(codel={"targt_s": 1}),
            "regulation.codel.targt_s: no such field; did you mean 'tar",
        ),
        (
            regulated(codel={"target_s": 2}),
            "regulation.codel: target_s=2.0, interval_s=1.0: need 0 < target_s <= inter",
        ),
        (
            regulated(codel=1),
            "regulation.codel: give a CoDel, or its fields as a mapping: target_s, interval_s",
        ),
        (regulated(rate={}), "regulation.rate.per_s: Field required"),
        (regulated(rate={"per_s": float("inf")}), "regulation.rate.per_s: Input should be a finite number (got inf)"),
        (regulated(overflow="drop"), "regulation.overflow: Input should be 'reject', 'drop_oldest' or 'drop_newest'"),
        (regulated(concurrency="many"), "regulation.concurrency: Input should be a valid integer"),
        (
            regulated(concurrency={"first": 1}),
            "families.stock.regulation.concurrency.first: no such field; there are: ",
        ),
        (
            regulated(concurrency={"least": 0}),
            "regulation.concurrency: least=0, initial=20, most=1000: need 1 <= least",
        ),
        (
            regulated(priorities={"shares": {"high": 2}}),
            "regulation.priorities: shares['high']=2.0: give a share above",
        ),
        (regulated(damper={"cpu": [0.9, 0.8]}), "families.stock.regulation.damper: cpu=(0.9, 0.8): give rising shares"),
        (family(cpus=float("inf")), "families.stock.cpus: Input should be a finite number"),
        (family(period_s=float("nan")), "families.stock.period_s: Input should be a finite number"),
        (family(replicas=[0] * 1000), "families.stock.replicas: Input should be a valid integer (got [0, 0"),
    ],
)
def test_a_mistake_is_told_in_one_line(data: dict[str, object], told: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        Blueprint.parse(data)

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("data", ["shop.yaml", None, 3, ["shop"]])
def test_what_is_no_mapping_is_told_with_the_mend(data: Any) -> None:
    with pytest.raises(BlueprintError, match=f"not {re.escape(repr(data))}: write {{'name': ..., 'families'"):
        Blueprint.parse(data)


def test_a_problem_with_a_number_or_a_gradient_is_told_once() -> None:
    with pytest.raises(BlueprintError) as caught:
        Blueprint.parse(regulated(concurrency={"least": 0}))

    assert ";" not in str(caught.value)


def test_a_regulation_is_what_the_regulators_read() -> None:
    options = {
        "overflow": "drop_oldest",
        "codel": {"target_s": 0.05},
        "concurrency": {"initial": 5},
        "priorities": {"shares": {"high": 0.5, "low": 0.1}},
        "fair": {},
    }
    parsed = Blueprint.parse(regulated(**options)).families["stock"].regulation

    assert parsed == Regulation(
        overflow=Overflow.DROP_OLDEST,
        codel=CoDel(0.05),
        concurrency=Gradient(initial=5),
        priorities=Priorities({"high": 0.5, "low": 0.1}),
        fair=Fair(),
    )
    assert Blueprint.parse(regulated(concurrency=7)).families["stock"].regulation == Regulation(concurrency=7)
    assert Blueprint.parse(family()).families["stock"].regulation is None


def test_health_is_what_the_health_kernel_reads() -> None:
    assert Blueprint.parse(blueprint(health={"beat_s": 0.25})).health == HealthLimits(beat_s=0.25)
    assert Blueprint.parse(blueprint(health=HealthLimits(1.0, 2.0, 3.0))).health == HealthLimits(1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise RuntimeError('no licence\\nfor this machine')", "RuntimeError: no licence for this machine"),
        ("import sys; sys.exit('use it as a script')", "SystemExit: use it as a script"),
        ("from collections import Countre", "ImportError: cannot import name 'Countre'"),
    ],
)
def test_a_module_that_fails_when_it_is_imported_is_told_in_one_line(
    source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_service.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(BlueprintError) as caught:
        Blueprint.parse(family(service="failing_service:Stock"))

    assert f"'failing_service:Stock' cannot be imported: {told}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [".stock:Stock", "stock.:Stock", "a..b:Stock", "stock:", ":Stock", "a:b:c", "1:2"])
def test_a_service_named_in_another_way_than_module_and_class_is_told(path: str) -> None:
    with pytest.raises(BlueprintError, match=r"is no import path: write it as 'package\.module:Class'"):
        Blueprint.parse(family(service=path))
