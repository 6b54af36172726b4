"""What travels with a call beside its request: on whose behalf it is made, how urgent it is, and its trace.

A call takes the context that is current where it is made. A handler runs in the context of the call that it serves,
so what it calls in turn is made on the same behalf.

    >>> with calling_as(tenant="acme", priority="high"):
    ...     current_context()
    CallContext(tenant='acme', priority='high', trace=())
    >>> current_context() is None
    True
"""

from __future__ import annotations

import contextlib
import contextvars
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class CallContext:
    """On whose behalf a call is made.

    Attributes:
        tenant: Whose work it is, for fair queues. Default `""`: nobody's in particular.
        priority: The priority class, as the callee's regulation names it. Default `""`: the callee's default.
        trace: Headers of the W3C trace context, as name and value.
    """

    tenant: str = ""
    priority: str = ""
    trace: tuple[tuple[str, str], ...] = ()


NOBODY = CallContext()
_current: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar("raybeam_call_context", default=None)
current_context = _current.get
"""The context that calls made here take; `None` when there is none."""
enter_context = _current.set
"""Make a context current, or none; for who serves calls."""


@contextlib.contextmanager
def serving_as(context: CallContext) -> Iterator[None]:
    """Calls made in this block are made in the context of a call that is served."""
    _current.set(context)
    try:
        yield
    finally:
        _current.set(None)  # not what was before: the task serves others next


@contextlib.contextmanager
def calling_as(*, tenant: str | None = None, priority: str | None = None) -> Iterator[CallContext]:
    """Calls made in this block are made for `tenant`, with `priority`; what is not given stays as it is."""
    context = current_context() or NOBODY
    if tenant is not None:
        context = replace(context, tenant=tenant)
    if priority is not None:
        context = replace(context, priority=priority)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
