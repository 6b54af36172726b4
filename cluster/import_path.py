"""Import paths of classes, as configurations and blueprints write them: `"package.module:Class"`."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path


def import_object(path: str) -> object:
    """What an import path names.

    >>> import_object("collections:OrderedDict")
    <class 'collections.OrderedDict'>
    >>> import_object("collections:OrderdDict")
    Traceback (most recent call last):
        ...
    ValueError: 'collections:OrderdDict': the module has no 'OrderdDict'; did you mean 'OrderedDict'?

    Raises:
        ValueError: It is no import path, its module cannot be imported, or has no such name; in one line.
    """
    module_name, colon, name = path.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module_name.split("."))):
        raise ValueError(f"{path!r} is no import path: write it as 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
        found = getattr(module, name, None)
    except (Exception, SystemExit) as error:  # a module may raise anything
        told = " ".join(str(error).split())
        raise ValueError(f"{path!r} cannot be imported: {type(error).__name__}: {told}") from error
    if found is None:
        close = get_close_matches(name, dir(module), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{path!r}: the module has no {name!r}{hint}")
    return found


def make_here_importable() -> None:
    """Let modules in the working directory be imported, as `python` does and a command does not."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
