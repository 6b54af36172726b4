"""Other threads than the loop's: a blocking handler runs in one, and may send, reply, link, spawn ... as anywhere else.

Processes belong to the thread of their loop, and nothing in them is locked. So what another thread does to them is done
in the loop's thread, in the order in which that thread asked for it.
"""

from __future__ import annotations

import contextvars
import functools
from concurrent.futures import Future
from threading import get_ident
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .runtime import current_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def from_any_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function be called from other threads too; there it returns, or raises, when the loop has run it."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        runtime = current_runtime()
        if get_ident() == runtime.thread_id:
            return function(*args, **kwargs)
        context, outcome = contextvars.copy_context(), Future[R]()  # the context says which process acts

        def run() -> None:
            try:
                outcome.set_result(context.run(function, *args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (the other thread's, whatever it is)
                outcome.set_exception(error)

        runtime.loop.call_soon_threadsafe(run)
        return outcome.result()

    return call
