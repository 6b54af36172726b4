"""Ray's errors in one line."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LAST_OF_TRACEBACK = re.compile(r"^[\w.]*(Error|Exception|Interrupt|Exit)\b")


def in_one_line(error: BaseException) -> str:
    """What went wrong, without the stacks of other processes that Ray puts into its errors."""
    told = getattr(error, "cause", None) or error
    lines = [line.strip() for line in _COLOURS.sub("", str(told)).splitlines() if line.strip()]
    if len(lines) > 1 and any(line.startswith("Traceback") for line in lines):
        return lines[-1]  # the last line of a traceback names the exception
    if len(lines) > 1 and "creation task" in lines[0] and _LAST_OF_TRACEBACK.match(lines[-1]):
        return lines[-1]  # so does what Ray shows of an actor that could not be made
    return f"{type(told).__name__}: {lines[0]}" if lines else type(told).__name__
