"""Ray's errors in one line."""

from __future__ import annotations


def in_one_line(error: BaseException) -> str:
    """What went wrong, without the stacks of other processes that Ray puts into its errors."""
    told = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(told).splitlines() if line.strip()]
    if len(lines) > 1 and any(line.startswith("Traceback") for line in lines):
        return lines[-1]  # the last line of a traceback names the exception
    return f"{type(told).__name__}: {lines[0]}" if lines else type(told).__name__
