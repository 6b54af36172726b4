"""What the controller knows, as bytes that outlive it: a restart neither flaps nor forgets what was learned.

The state of each family is kept with a description of its policy. What another version of raybeam wrote, what
belongs to another policy or to other options of it, and what cannot be read is dropped: that family begins anew.
"""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .kernel.control import Remembered, State

if TYPE_CHECKING:
    from .kernel.control import Control

LARGEST = 256_000
"""Bytes of one family that are kept at most: a policy that remembers more begins anew after a restart."""


def write(state: State, control: Control) -> tuple[bytes, list[str]]:
    """The state as bytes, and which families were left out since theirs is too large or cannot be written."""
    parts: dict[str, tuple[str, bytes]] = {}
    left_out = []
    for name, kept in state.families.items():
        try:
            part = pickle.dumps(replace(kept, window_s=0.0, failure=""))
        except Exception:  # noqa: BLE001 (the state is the policy's own, and so is what writing it raises)
            left_out.append(name)
            continue
        if len(part) > LARGEST:
            left_out.append(name)
        else:
            parts[name] = (described(control.families[name].policy), part)
    return _header() + pickle.dumps((parts, state.demand)), left_out


def read(data: bytes, control: Control) -> tuple[State, dict[str, str]]:
    """The state that was written, and why which families begin anew."""
    fresh = control.start()
    if not data.startswith(_header()):
        return fresh, dict.fromkeys(control.families, "another version of raybeam wrote what was remembered")
    try:
        parts, demand = pickle.loads(data[len(_header()) :])
    except Exception:  # noqa: BLE001 (whatever pickle raises)
        return fresh, dict.fromkeys(control.families, "what was remembered cannot be read")
    families: dict[str, Remembered] = {}
    dropped: dict[str, str] = {}
    for name, begun in fresh.families.items():
        families[name] = begun
        if name not in parts:
            continue
        policy, part = parts[name]
        if policy != described(control.families[name].policy):
            dropped[name] = "its policy was another one"
            continue
        try:
            families[name] = pickle.loads(part)
        except Exception as error:  # noqa: BLE001 (the state is the policy's own, and so is what reading it raises)
            dropped[name] = f"what it knew cannot be read: {type(error).__name__}: {error}"
    return State(families, demand), dropped


def latest_s(state: State) -> float:
    """The latest time that policies have seen, seconds since the epoch; 0: none."""
    return max((kept.looked.time_s for kept in state.families.values() if kept.looked), default=0.0)


def described(policy: object) -> str:
    """A policy with its options, the same in every process.

    >>> from raybeam.autoscaler.kernel.static import Static
    >>> described(Static(3))
    'raybeam.autoscaler.kernel.static.Static(replicas=3, machines=None)'
    """
    kind = f"{type(policy).__module__}.{type(policy).__qualname__}"
    if is_dataclass(policy):
        inner = ", ".join(f"{field.name}={described(getattr(policy, field.name))}" for field in fields(policy))
        return f"{kind}({inner})"
    if isinstance(policy, tuple):
        return f"({', '.join(described(each) for each in policy)})"
    return repr(policy) if isinstance(policy, str | int | float | None) else kind


@lru_cache(maxsize=1)
def _header() -> bytes:
    try:
        raybeam = version("raybeam")
    except PackageNotFoundError:
        raybeam = "unknown"
    return f"raybeam scaling 1, raybeam {raybeam}\n".encode()
