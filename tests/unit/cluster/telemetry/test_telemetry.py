"""Who listens is looked up anew; labels are bounded; a sink that fails is left alone; the tables are documented."""

import asyncio
import os
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace

from raybeam.actors import BlueprintError, GenServer, UsageError, call
from raybeam.cluster import Blueprint
from raybeam.cluster.telemetry import INSTRUMENTS, Telemetry, TelemetryOptions, configure_sdk
from raybeam.cluster.telemetry import instruments as i
from raybeam.cluster.telemetry.labels import OTHER
from raybeam.cluster.telemetry.meter import MAX_SERIES, Key, Meter, Taken
from raybeam.cluster.telemetry.sinks import RaySink, is_configured
from tests.unit.cluster.shop import Shop

from .measured import Memory, in_shop

ROOT = Path(__file__).parents[4]


class RayMetric:
    """Refuses what Ray's metrics refuse."""

    def __init__(self, instrument: i.Instrument) -> None:
        self.instrument = instrument
        self.told: list[tuple[float, dict[str, str]]] = []

    def _tell(self, value: float, tags: dict[str, str]) -> None:
        assert tuple(tags) == ("system", *self.instrument.labels)
        assert all(type(tag) is str for tag in tags.values())
        self.told.append((value, tags))

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert self.instrument.kind is i.Kind.COUNTER
        assert value > 0
        self._tell(value, tags)

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert self.instrument.kind is i.Kind.GAUGE
        self._tell(value, tags)

    def observe(self, value: float, tags: dict[str, str]) -> None:
        assert self.instrument.kind is i.Kind.HISTOGRAM
        self._tell(value, tags)


class Ray:
    """A Ray that comes and goes."""

    def __init__(self) -> None:
        self.here = True
        self.metrics: dict[str, RayMetric] = {}

    def make(self, instrument: i.Instrument) -> RayMetric:
        return self.metrics.setdefault(instrument.ray_name, RayMetric(instrument))

    def telemetry(self, options: TelemetryOptions | None = None) -> Telemetry:
        telemetry = Telemetry(
            "shop",
            options,
            ray_is_here=lambda: self.here,
            make_ray_sink=lambda samples: RaySink(samples, self.make),
        )
        telemetry.refresh()
        return telemetry


class Stock(GenServer):
    async def init(self) -> None:
        pass

    @call
    async def take(self, count: int) -> int:
        return count


def test_ray_gets_what_has_grown_since_the_last_time() -> None:
    ray = Ray()
    telemetry = ray.telemetry()
    casts = telemetry.meter.series(i.CLIENT_CASTS, "shop", "stock", "note", "ok")
    casts.add(1)
    casts.add(1)
    telemetry.hand_out()
    telemetry.hand_out()
    casts.add(1)
    telemetry.hand_out()

    tags = {"system": "shop", "family": "stock", "method": "note", "outcome": "ok"}
    assert ray.metrics["raybeam_client_casts"].told == [(2, tags), (1, tags)]


def test_ray_gets_a_sample_of_the_durations_and_the_number_of_all() -> None:
    ray = Ray()
    telemetry = ray.telemetry(TelemetryOptions(samples_per_s=100))
    labels = ("shop", "stock", "take", "ok")
    durations = telemetry.meter.timed(i.CLIENT_DURATION, (i.CLIENT_CALLS,), *labels)
    for number in range(10_000):
        durations.add(number / 10_000)
    telemetry.hand_out()

    told = sorted(value for value, _ in ray.metrics["raybeam_client_call_duration_seconds"].told)
    assert len(told) == 100
    assert told[50] == pytest.approx(0.5, abs=0.02)
    assert told[99] == pytest.approx(0.99, abs=0.02)
    assert ray.metrics["raybeam_client_calls"].told[0][0] == 10_000


def test_a_gauge_that_nobody_tells_any_more_falls_to_0() -> None:
    class Source:
        def readings(self) -> list[tuple[Key, float]]:
            return [(Key(i.LANE_OUTSTANDING, ("shop", "stock")), 3.0)]

    ray, one, other = Ray(), Source(), Source()
    telemetry = ray.telemetry()
    telemetry.meter.watch(one)
    telemetry.meter.watch(other)
    telemetry.hand_out()
    del one
    telemetry.hand_out()
    del other
    telemetry.hand_out()
    telemetry.hand_out()

    assert [value for value, _ in ray.metrics["raybeam_lane_outstanding"].told] == [6.0, 3.0, 0.0]


def test_it_is_looked_up_anew_whether_ray_is_here() -> None:
    ray = Ray()
    ray.here = False
    telemetry = ray.telemetry()
    before = telemetry.on
    ray.here = True
    telemetry.refresh()
    during = telemetry.on
    ray.here = False
    telemetry.refresh()

    assert [before, during, telemetry.on] == [False, True, False]


def test_options_switch_ray_metrics_off_alone() -> None:
    assert not Ray().telemetry(TelemetryOptions(ray_metrics=False)).on
    memory = Memory(TelemetryOptions(ray_metrics=False))
    assert memory.telemetry.counting


def test_the_thread_hands_out_and_so_does_the_end() -> None:
    ray = Ray()
    telemetry = ray.telemetry(TelemetryOptions(interval_s=60.0))
    telemetry.start("shop/stock")
    telemetry.meter.series(i.LANE_BATCHES, "shop", "stock").add(1)
    telemetry.close()

    assert ray.metrics["raybeam_lane_batches"].told[0][0] == 1
    assert not telemetry.on


def test_no_thread_is_started_when_nothing_is_wanted() -> None:
    telemetry = Ray().telemetry(TelemetryOptions(metrics=False, spans=False))
    before = threading.active_count()
    telemetry.start("shop/stock")

    assert threading.active_count() == before
    asyncio.run(telemetry.end())


def test_a_sink_that_fails_is_given_nothing_any_more_and_the_others_are() -> None:
    class Broken:
        name = "Ray"
        times = 0

        def put(self, taken: Taken) -> None:
            self.times += 1
            raise OSError("no agent")

    memory, broken = Memory(), Broken()
    memory.telemetry._ray_is_here = lambda: True
    memory.telemetry._make_ray_sink = lambda samples: broken
    for _ in range(3):
        memory.telemetry.refresh()
        memory.telemetry.meter.series(i.LANE_BATCHES, "shop", "stock").add(1)
        memory.telemetry.hand_out()

    assert broken.times == 1
    assert memory.values(i.LANE_BATCHES) == {(): 3}


def test_a_source_that_changes_while_it_is_read_is_read_the_next_time() -> None:
    class Source:
        def __init__(self) -> None:
            self.ready = False

        def readings(self) -> list[tuple[Key, float]]:
            if not self.ready:
                raise RuntimeError("dictionary changed size during iteration")
            return [(Key(i.GENERATION, ("shop",)), 2.0)]

    meter, source = Meter(), Source()
    meter.watch(source)
    first = meter.take().gauges
    source.ready = True

    assert [first, meter.take().gauges] == [{}, {Key(i.GENERATION, ("shop",)): 2.0}]


def test_a_method_that_the_service_does_not_have_is_one_of_the_others() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        calls = shop.client.observed.calls("stock")
        for number in range(100):
            calls.begin(f"made up {number}").ok(0.1)
            served = shop.served.arrived(f"made up {number}", None)
            assert served is not None
            served.ok(0.1)
            shop.served.cast(f"made up {number}")

    in_shop(Stock, play, memory)

    assert memory.values(i.CLIENT_CALLS) == {(OTHER, "ok"): 100}
    assert memory.values(i.SERVER_CALLS) == {(OTHER, "ok"): 100}
    assert memory.values(i.SERVER_CASTS) == {(OTHER,): 100}
    assert {span.name for span in memory.spans()} == {f"stock/{OTHER}"}


def test_errors_of_ever_new_classes_are_bounded() -> None:
    memory = Memory(spans=False)

    async def play(shop: Shop, stock: Any) -> None:
        calls = shop.client.observed.calls("stock")
        for number in range(100):
            calls.begin("take").failed(0.1, type(f"Error{number}", (Exception,), {})())

    in_shop(Stock, play, memory)

    reasons = memory.values(i.CLIENT_FAILURES)
    assert len(reasons) == 33
    assert reasons[OTHER,] == 68


def test_an_instrument_has_a_bounded_number_of_series_whatever_comes() -> None:
    meter = Meter()
    for number in range(3 * MAX_SERIES):
        meter.timed(i.CLIENT_DURATION, (i.CLIENT_CALLS, i.CLIENT_ATTEMPTS), "shop", "stock", f"{number}", "ok").add(0.1)

    taken = meter.take()
    durations = {key: len(values) for key, values in taken.durations.items()}
    assert len(durations) == MAX_SERIES + 1
    assert durations[Key(i.CLIENT_DURATION, ("shop", OTHER, OTHER, OTHER))] == 2 * MAX_SERIES
    assert taken.grown[Key(i.CLIENT_CALLS, ("shop", OTHER, OTHER, OTHER))] == 2 * MAX_SERIES
    assert taken.grown[Key(i.CLIENT_ATTEMPTS, ("shop", OTHER, OTHER))] == 2 * MAX_SERIES


def test_no_instrument_has_a_label_that_grows_with_the_work() -> None:
    allowed = {"family", "method", "outcome", "reason", "kind", "health", "direction"}
    assert {label for each in INSTRUMENTS for label in each.labels} <= allowed
    assert len({each.name for each in INSTRUMENTS}) == len({each.ray_name for each in INSTRUMENTS}) == len(INSTRUMENTS)
    assert {each.kind is i.Kind.HISTOGRAM for each in INSTRUMENTS if each.bounds} == {True}


def test_the_documentation_shows_the_tables_as_they_are() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()

    assert i.instruments_table() in text
    assert i.spans_table() in text


def test_providers_that_do_nothing_are_told_from_real_ones() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    unset = [trace.ProxyTracerProvider(), trace.NoOpTracerProvider(), metrics.NoOpMeterProvider()]
    assert [is_configured(provider) for provider in unset] == [False, False, False]
    assert is_configured(TracerProvider())
    assert is_configured(MeterProvider())


def test_a_blueprint_says_what_is_wanted() -> None:
    families = {"stock": {"service": Stock}}
    parsed = Blueprint.parse({"name": "shop", "families": families, "telemetry": {"spans": False, "interval_s": 5}})
    assert parsed.telemetry == TelemetryOptions(spans=False, interval_s=5)
    for wrong, told in (
        ({"interval_s": 0}, "interval_s=0"),
        ({"span": True}, "did you mean 'spans'"),
        ({"samples_per_s": 0}, "samples_per_s=0"),
    ):
        with pytest.raises(BlueprintError, match=told):
            Blueprint.parse({"name": "shop", "families": families, "telemetry": wrong})


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "'otlp', 'console' or 'none'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/protobuf or grpc"),
        ({}, r"install raybeam\[otel\]"),
    ],
)
def test_what_cannot_be_configured_is_told(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(UsageError, match=told):
        configure_sdk("shop", variables)

    assert not is_configured(trace.get_tracer_provider())


def test_an_sdk_that_is_disabled_or_wanted_nowhere_is_not_configured() -> None:
    assert configure_sdk("shop", {"OTEL_SDK_DISABLED": "true"}) == ()
    assert configure_sdk("shop", {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}) == ()


CONSOLE = """
from raybeam.cluster.telemetry import Telemetry, TelemetryOptions
from raybeam.cluster.telemetry.calls import start_span
from raybeam.cluster.telemetry.instruments import LANE_BATCHES
from opentelemetry.trace import SpanKind

telemetry = Telemetry("shop", TelemetryOptions(configure_sdk=True), ray_is_here=lambda: False)
telemetry.start("shop/stock")
start_span(telemetry.tracer, SpanKind.CLIENT, "shop", "stock", "take", None).end()
telemetry.meter.series(LANE_BATCHES, "shop", "stock").add(3)
telemetry.close()
"""


def test_a_process_configures_an_sdk_by_its_environment() -> None:
    console = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console"}
    ran = subprocess.run(
        [sys.executable, "-c", CONSOLE], env={**os.environ, **console}, capture_output=True, text=True, check=True
    )

    assert '"name": "stock/take"' in ran.stdout
    assert '"service.name": "shop/stock"' in ran.stdout
    assert '"name": "raybeam.lane.batches"' in ran.stdout


def test_the_manual_tells_of_every_option_with_its_default() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()

    for option in fields(TelemetryOptions):
        assert f'"{option.name}": {option.default},' in text
