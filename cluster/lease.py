"""Leases: who gets no sign of life from its owner for long enough ends itself, so nothing is left behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Lease:
    """Calls `on_expiry` once when it has not been renewed for `timeout_s` seconds.

    It has a thread of its own: a handler that blocks the loop cannot keep an orphan alive, nor end it.
    """

    def __init__(self, timeout_s: float, on_expiry: Callable[[], None]) -> None:
        self._timeout_s = timeout_s
        self._on_expiry = on_expiry
        self._renewed_at = time.monotonic()
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def renew(self) -> None:
        """The owner lives."""
        self._renewed_at = time.monotonic()

    def _watch(self) -> None:
        while time.monotonic() - self._renewed_at <= self._timeout_s:
            time.sleep(min(1.0, self._timeout_s / 4))
        self._on_expiry()
