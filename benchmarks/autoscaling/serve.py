"""Ray Serve's policy: the installed Ray's own functions, fed as Serve's handles and controller feed them.

A gauge of what is queued and running is read every min(0.2 look_back_period_s, 10 s) and pushed every 10 s; the
controller averages what was pushed over the look-back period; delays and factors are applied by Ray's own wrapper.
A request that finds no replica is pushed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import ray.serve.autoscaling_policy as ray_policy
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from raybeam.autoscaler.kernel.policy import Decision

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.snapshot import Snapshot

PUSH_S = 10.0
DECIDE = ray_policy._apply_autoscaling_config(ray_policy.default_autoscaling_policy)


@dataclass(frozen=True, slots=True)
class ServeState:
    """What the handle, the controller and the policy remember."""

    target: int | None = None
    read: tuple[tuple[float, float], ...] = ()
    pushed: tuple[tuple[float, float], ...] = ()
    pushed_s: float = 0.0
    own: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Serve:
    """Serve's own policy.

    Attributes:
        per_slot: `target_ongoing_requests` per slot of a replica; `None`: Serve's default, 2 whatever the slots.
        options: Other options of Serve's `AutoscalingConfig`.
    """

    per_slot: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def start(self) -> ServeState:
        return ServeState()

    def decide(self, snapshot: Snapshot, state: ServeState) -> tuple[Decision, ServeState]:
        target_ongoing = 2.0 if self.per_slot is None else self.per_slot * snapshot.slots
        config = _config(target_ongoing, tuple(sorted(self.options.items())))
        now, look_back_s = snapshot.time_s, config.look_back_period_s
        target = snapshot.ready + snapshot.starting if state.target is None else state.target
        total = float(snapshot.queue + snapshot.in_flight)
        read, pushed, pushed_s = state.read, state.pushed, state.pushed_s
        if not read or now - read[-1][0] >= min(0.2 * look_back_s, PUSH_S) - 1e-9:
            read = (*(point for point in read if point[0] > now - look_back_s), (now, total))
        at_once = snapshot.ready == 0 and total > 0
        if now - pushed_s >= PUSH_S - 1e-9 or at_once:
            if at_once and read[-1][0] < now:
                read = (*read, (now, total))
            pushed, pushed_s = read, now
        context = AutoscalingContext(
            deployment_id=None,  # type: ignore[arg-type]  # the default policy does not look at it
            deployment_name="family",
            app_name=None,
            current_num_replicas=snapshot.ready,
            target_num_replicas=target,
            running_replicas=[],
            total_num_requests=_mean(pushed, now),
            total_queued_requests=None,
            aggregated_metrics=None,
            raw_metrics=None,
            capacity_adjusted_min_replicas=config.min_replicas,
            capacity_adjusted_max_replicas=config.max_replicas,
            policy_state=dict(state.own),
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=now,
            config=config,
        )
        vars(ray_policy)["time"] = SimpleNamespace(time=lambda: now)  # delays run on simulated time
        wanted, own = DECIDE(context)
        target = max(config.min_replicas, min(int(wanted), config.max_replicas))
        return Decision(target), replace(
            state, target=target, read=read, pushed=pushed, pushed_s=pushed_s, own=own or {}
        )


_CONFIGS: dict[Any, AutoscalingConfig] = {}


def _config(target_ongoing: float, options: tuple[tuple[str, Any], ...]) -> AutoscalingConfig:
    key = (target_ongoing, options)
    if key not in _CONFIGS:
        given = {"min_replicas": 1, "max_replicas": 1000, "target_ongoing_requests": target_ongoing, **dict(options)}
        _CONFIGS[key] = AutoscalingConfig(**given)
    return _CONFIGS[key]


def _mean(points: tuple[tuple[float, float], ...], now: float) -> float:
    """The mean over time of a step function, from its first point until now."""
    if not points:
        return 0.0
    ends = [*(at for at, _ in points[1:]), now]
    length = now - points[0][0]
    if length <= 0:
        return points[-1][1]
    return sum(value * (end - at) for (at, value), end in zip(points, ends, strict=True)) / length
