"""Checks of options: what is wrong is told with its name, its value and the mend, before it does harm."""

from __future__ import annotations

from ..errors import OptionError, UsageError


def check_numbers(options: object, *names: str) -> None:
    """Check that attributes are numbers; what they may be is for the caller to check.

    Raises:
        OptionError: One is not.

    >>> from .backoff import Backoff
    >>> Backoff(factor="x")
    Traceback (most recent call last):
    ...
    raybeam.actors.errors.OptionError: factor='x': give a number
    """
    for name in names:
        value: object = getattr(options, name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise OptionError(f"{name}={value!r}: give a number")


def check_count(name: str, value: object, mend: str, least: int = 1) -> None:
    """Check that a value is a whole number, and not too small.

    Raises:
        OptionError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name}={value!r}: {mend}")


def check_seconds(value: object, name: str = "timeout_s") -> None:
    """Check that an argument is a time to wait: OTP's `badarg` otherwise.

    Raises:
        UsageError: It is not.
    """
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        raise UsageError(f"{name}={value!r}: give the seconds to wait, 0 or more, or None for ever")
