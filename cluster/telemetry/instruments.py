"""The table of everything that is measured and traced. docs/telemetry.md shows it; a test holds them together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """How the values of an instrument add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One thing that is measured.

    Attributes:
        name: In OpenTelemetry.
        kind: How its values add up.
        unit: In UCUM, as OpenTelemetry wants it.
        labels: What tells its series apart, beside the system.
        description: What it tells, in one sentence.
        where: Which processes measure it: `"caller"`, `"replica"` or `"root"`.
        bounds: Upper bounds of the buckets of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    description: str
    where: str
    bounds: tuple[float, ...] = ()

    @property
    def ray_name(self) -> str:
        """Its name in Ray, which puts `ray_` before it.

        >>> CLIENT_DURATION.ray_name, LANE_BYTES.ray_name, CLIENT_CALLS.ray_name
        ('raybeam_client_call_duration_seconds', 'raybeam_lane_sent_bytes', 'raybeam_client_calls')
        """
        unit = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        name = "raybeam_" + self.name.removeprefix("raybeam.").removeprefix("rpc.").replace(".", "_")
        return name if name.endswith(unit) else name + unit


@dataclass(frozen=True, slots=True)
class SpanKind:
    """One kind of span.

    Attributes:
        name: What its name is made of.
        kind: In OpenTelemetry.
        parent: Whose child it is.
        attributes: Beside `rpc.system.name`, `rpc.method`, `raybeam.system` and `raybeam.family`.
        events: What may happen within it.
        description: From when to when it lasts.
    """

    name: str
    kind: str
    parent: str
    attributes: tuple[str, ...]
    events: tuple[str, ...]
    description: str


DURATIONS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

ATTRIBUTES: Final = {
    "system": "raybeam.system",
    "family": "raybeam.family",
    "method": "rpc.method",
    "outcome": "raybeam.outcome",
    "reason": "raybeam.reason",
    "kind": "raybeam.kind",
    "health": "raybeam.health",
    "direction": "raybeam.direction",
}
"""The labels as OpenTelemetry's attributes; Ray has them by their short names."""

_METHOD: Final = ("family", "method")
_OUTCOME: Final = ("family", "method", "outcome")
_REASON: Final = ("family", "reason")
_FAMILY: Final = ("family",)
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

CLIENT_CALLS: Final = Instrument(
    "raybeam.client.calls", _C, "{call}", _OUTCOME, "Calls that have ended, as their callers saw it.", "caller"
)
CLIENT_DURATION: Final = Instrument(
    "rpc.client.call.duration", _H, "s", _OUTCOME,
    "From the call to its end at the caller, repetitions and pauses included.", "caller", DURATIONS_S,
)  # fmt: skip
CLIENT_FAILURES: Final = Instrument(
    "raybeam.client.failures", _C, "{call}", _REASON, "Calls that ended with an error, by its class.", "caller"
)
CLIENT_ATTEMPTS: Final = Instrument(
    "raybeam.client.attempts", _C, "{attempt}", _METHOD, "Times that a call was sent, or tried to be.", "caller"
)
CLIENT_RETRIES: Final = Instrument(
    "raybeam.client.retries", _C, "{attempt}", ("family", "method", "reason"),
    "Attempts after the first, by the outcome of the one before.", "caller",
)  # fmt: skip
CLIENT_HEDGES: Final = Instrument(
    "raybeam.client.hedges", _C, "{attempt}", _METHOD, "Queries that were sent to a second replica.", "caller"
)
CLIENT_BUDGET: Final = Instrument(
    "raybeam.client.budget.exhausted", _C, "{attempt}", _METHOD,
    "Repetitions and hedges that were not made, as the retry budget was spent.", "caller",
)  # fmt: skip
CLIENT_CASTS: Final = Instrument(
    "raybeam.client.casts", _C, "{cast}", _OUTCOME, "Casts, by whether they were sent.", "caller"
)
BREAKER_OPEN: Final = Instrument(
    "raybeam.client.breaker.open", _G, "1", _FAMILY, "Whether the breaker of the family lets no calls pass.", "caller"
)
LANE_BATCHES: Final = Instrument("raybeam.lane.batches", _C, "{batch}", _FAMILY, "Batches sent.", "caller")
LANE_BATCH_SIZE: Final = Instrument(
    "raybeam.lane.batch.size", _H, "{message}", _FAMILY, "Messages in a batch that carries some.", "caller", SIZES
)
LANE_RESENT: Final = Instrument(
    "raybeam.lane.resent",
    _C,
    "{message}",
    _FAMILY,
    "Messages sent again, as the fate of a batch was unknown.",
    "caller",
)
LANE_LOST: Final = Instrument(
    "raybeam.lane.lost", _C, "{batch}", _FAMILY, "Batches whose fate was unknown, or whose receiver was dead.", "caller"
)
LANE_BYTES: Final = Instrument("raybeam.lane.sent", _C, "By", _FAMILY, "Bytes of the batches sent.", "caller")
LANE_BYTES_BACK: Final = Instrument(
    "raybeam.lane.received", _C, "By", _FAMILY, "Bytes of the replies received.", "caller"
)
LANE_OUTSTANDING: Final = Instrument(
    "raybeam.lane.outstanding",
    _G,
    "{call}",
    _FAMILY,
    "Calls sent, or waiting to be, that have no answer yet.",
    "caller",
)
SERVER_CALLS: Final = Instrument(
    "raybeam.server.calls", _C, "{call}", _OUTCOME, "Calls that came over lanes and were answered.", "replica"
)
SERVER_DURATION: Final = Instrument(
    "rpc.server.call.duration", _H, "s", _OUTCOME,
    "From the arrival of a call to its answer, the wait in the mailbox included.", "replica", DURATIONS_S,
)  # fmt: skip
SERVER_REFUSED: Final = Instrument(
    "raybeam.server.refused", _C, "{call}", ("family", "method", "reason"),
    "Calls refused or dropped undone: `queue_full` or another reason of the regulator, `deadline`, `invalid_arguments`,"
    " `no_process`.", "replica",
)  # fmt: skip
SERVER_CASTS: Final = Instrument(
    "raybeam.server.casts", _C, "{cast}", _METHOD, "Casts that came over lanes.", "replica"
)
QUEUE_WAIT: Final = Instrument(
    "raybeam.queue.wait", _H, "s", _FAMILY, "Waiting time in the mailbox, of all calls within the replica.",
    "replica", DURATIONS_S,
)  # fmt: skip
HANDLER_TIME: Final = Instrument(
    "raybeam.handler.time", _H, "s", _FAMILY, "Time in the handlers, of all calls within the replica.",
    "replica", DURATIONS_S,
)  # fmt: skip
CRASHES: Final = Instrument(
    "raybeam.process.crashes", _C, "{crash}", _REASON, "Processes that ended abnormally, by the class of the error.",
    "replica",
)  # fmt: skip
REGULATOR_ACCEPTED: Final = Instrument(
    "raybeam.regulator.accepted", _C, "{call}", _FAMILY, "Calls that a regulator took in.", "replica"
)
REGULATOR_DELAYED: Final = Instrument(
    "raybeam.regulator.delayed", _C, "{call}", _FAMILY, "Those of them that could not begin at once.", "replica"
)
REGULATOR_REJECTED: Final = Instrument(
    "raybeam.regulator.rejected", _C, "{call}", _REASON, "Calls that a regulator refused when they came.", "replica"
)
REGULATOR_DROPPED: Final = Instrument(
    "raybeam.regulator.dropped", _C, "{call}", _REASON, "Calls that were taken in and not begun.", "replica"
)
REGULATOR_UNDER_WAY: Final = Instrument(
    "raybeam.regulator.under_way", _G, "{call}", _FAMILY, "Calls begun and not answered.", "replica"
)
REGULATOR_LIMIT: Final = Instrument(
    "raybeam.regulator.limit", _G, "{call}", _FAMILY, "How many calls may be under way; none: no limit.", "replica"
)
REGULATOR_LEVEL: Final = Instrument(
    "raybeam.regulator.level", _G, "1", _FAMILY, "By how many levels the machine's load cuts the limits.", "replica"
)
QUEUE_DEPTH: Final = Instrument(
    "raybeam.queue.depth", _G, "{call}", _FAMILY, "Calls that wait or are worked on, in all replicas.", "root"
)
REPLICAS: Final = Instrument(
    "raybeam.replicas", _G, "{replica}", ("family", "health"), "Replicas in the directory, by health.", "root"
)
REPLICAS_WANTED: Final = Instrument(
    "raybeam.replicas.wanted", _G, "{replica}", _FAMILY, "How many there should be.", "root"
)
SCALING_DECISIONS: Final = Instrument(
    "raybeam.scaling.decisions", _C, "{decision}", ("family", "direction", "reason"),
    "Decisions about the number of replicas: `up`, `down` or `hold`, by the kind of reason.", "root",
)  # fmt: skip
SCALING_DECIDED: Final = Instrument(
    "raybeam.scaling.decided", _G, "{replica}", _FAMILY,
    "How many replicas the latest decision wants; beside a dry run the same as `raybeam.replicas.wanted`.", "root",
)  # fmt: skip
SCALING_RATE: Final = Instrument(
    "raybeam.scaling.arrivals", _G, "{call}/s", _FAMILY, "Arrivals a second, as the policy estimates them.", "root"
)
SCALING_OFFERED: Final = Instrument(
    "raybeam.scaling.offered", _G, "{replica}", _FAMILY,
    "Offered work: the replicas that it would keep busy without pause.", "root",
)  # fmt: skip
SCALING_BACKLOG: Final = Instrument(
    "raybeam.scaling.backlog", _G, "{call}", _FAMILY, "Calls that wait, in all replicas.", "root"
)
SCALING_OLDEST: Final = Instrument(
    "raybeam.scaling.oldest.wait", _G, "s", _FAMILY, "How long the call that waits longest has waited.", "root"
)
SCALING_START: Final = Instrument(
    "raybeam.scaling.start.time", _G, "s", _FAMILY, "How long a replica takes to start, as the policy knows.", "root"
)
RESTARTS: Final = Instrument(
    "raybeam.replica.restarts", _C, "{restart}", _FAMILY, "Replicas that were replaced.", "root"
)
OCCURRENCES: Final = Instrument(
    "raybeam.occurrences", _C, "{occurrence}", ("kind",),
    "What happened to replicas and the system: `up`, `down`, `health`, `placement`, `scale`, `scaling`,"
    " `system`.", "root",
)  # fmt: skip
GENERATION: Final = Instrument(
    "raybeam.root.generation", _G, "1", (), "Which process of the root it is; more: it was restarted.", "root"
)

INSTRUMENTS: Final = (
    CLIENT_CALLS, CLIENT_DURATION, CLIENT_FAILURES, CLIENT_ATTEMPTS, CLIENT_RETRIES, CLIENT_HEDGES, CLIENT_BUDGET,
    CLIENT_CASTS, BREAKER_OPEN, LANE_BATCHES, LANE_BATCH_SIZE, LANE_RESENT, LANE_LOST, LANE_BYTES, LANE_BYTES_BACK,
    LANE_OUTSTANDING, SERVER_CALLS, SERVER_DURATION, SERVER_REFUSED, SERVER_CASTS, QUEUE_WAIT, HANDLER_TIME, CRASHES,
    REGULATOR_ACCEPTED, REGULATOR_DELAYED, REGULATOR_REJECTED, REGULATOR_DROPPED, REGULATOR_UNDER_WAY, REGULATOR_LIMIT,
    REGULATOR_LEVEL, QUEUE_DEPTH, REPLICAS, REPLICAS_WANTED, SCALING_DECISIONS, SCALING_DECIDED, SCALING_RATE,
    SCALING_OFFERED, SCALING_BACKLOG, SCALING_OLDEST, SCALING_START, RESTARTS, OCCURRENCES, GENERATION,
)  # fmt: skip
"""All of them."""

CLIENT_SPAN: Final = SpanKind(
    "family/method", "CLIENT", "the span that is current where the call is made, else that of the call served there",
    ("raybeam.outcome", "error.type", "raybeam.attempts"), ("retry", "hedge"),
    "From the call to its end at the caller, over all attempts.",
)  # fmt: skip
SERVER_SPAN: Final = SpanKind(
    "family/method", "SERVER", "the span of the call, by its W3C headers", ("raybeam.outcome", "error.type"), (),
    "From the arrival of the call at the replica to its answer.",
)  # fmt: skip
SPANS: Final = (CLIENT_SPAN, SERVER_SPAN)
"""All of them."""


def instruments_table() -> str:
    """The instruments as a table in Markdown."""
    rows = [
        "| name | in Ray: `ray_` + | kind | unit | labels beside `system` | from | |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in INSTRUMENTS:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        rows.append(
            f"| `{each.name}` | `{each.ray_name}` | {each.kind.value} | `{each.unit}` | {labels} | {each.where} | "
            f"{each.description} |"
        )
    return "\n".join(rows)


def spans_table() -> str:
    """The spans as a table in Markdown."""
    rows = ["| name | kind | child of | attributes | events | |", "|---|---|---|---|---|---|"]
    for each in SPANS:
        attributes, events = (", ".join(f"`{name}`" for name in names) for names in (each.attributes, each.events))
        rows.append(f"| {each.name} | {each.kind} | {each.parent} | {attributes} | {events} | {each.description} |")
    return "\n".join(rows)
