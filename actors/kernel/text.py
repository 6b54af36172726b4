"""A term as text, for reports and errors: one whose own `__str__` or `__repr__` fails must not hide what is told."""

from __future__ import annotations


def text_of(term: object) -> str:
    """`str(term)`, whatever it does.

    >>> class Broken(Exception):
    ...     def __str__(self):
    ...         raise ValueError("no text")
    >>> text_of(Broken()), text_of("plain")
    ('<Broken, whose __str__ raised ValueError>', 'plain')
    """
    try:
        return str(term)
    except Exception as error:  # noqa: BLE001 (the term's own, whatever it is)
        return f"<{type(term).__qualname__}, whose __str__ raised {type(error).__name__}>"


def repr_of(term: object) -> str:
    """`repr(term)`, whatever it does."""
    try:
        return repr(term)
    except Exception as error:  # noqa: BLE001 (the term's own, whatever it is)
        return f"<{type(term).__qualname__}, whose __repr__ raised {type(error).__name__}>"
