"""Ray's errors are told in one line, by what went wrong and not by where Ray saw it."""

import pytest

from raybeam.cluster.ray_errors import in_one_line

CREATION = "\n".join(
    [
        "The actor died because of an error raised in its creation task, \x1b[36mray::root.__init__()\x1b[39m (pid=7)",
        '  File "shop.py", line 3, in <module>',
        '    raise RuntimeError("this module needs a key")',
        "RuntimeError: this module needs a key",
    ]
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (CREATION, "RuntimeError: this module needs a key"),
        ("Traceback (most recent call last):\n  File\nValueError: no", "ValueError: no"),
        ("\x1b[36mgone\x1b[39m\nfor good", "RuntimeError: gone"),
        ("", "RuntimeError"),
    ],
)
def test_an_error_is_one_line(text: str, line: str) -> None:
    assert in_one_line(RuntimeError(text)) == line
