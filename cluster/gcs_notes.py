"""What a system keeps in Ray's GCS so that it outlives the root: numbers never used twice, and the root's notes."""

from __future__ import annotations

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put

_NAMESPACE = b"raybeam"


def next_incarnation(system: str, family: str, index: int) -> int:
    """A number that no replica at this place had before, counted from 1. Blocks on Ray."""
    return _next(f"{system}/{family}/{index}", 1)


def next_generation(system: str, least: int) -> int:
    """A number above those of all former processes of this root, and not below `least`. Blocks on Ray."""
    return _next(f"{system}/", least)


def keep(system: str, name: str, data: bytes) -> None:
    """Keep something under a name. Blocks on Ray."""
    _internal_kv_put(_note(system, name), data, overwrite=True, namespace=_NAMESPACE)


def kept(system: str, name: str) -> bytes | None:
    """What was kept last under a name. Blocks on Ray."""
    found: bytes | None = _internal_kv_get(_note(system, name), namespace=_NAMESPACE)
    return found


def forget(system: str) -> None:
    """Remove all that is kept of a system that has ended. Blocks on Ray."""
    _internal_kv_del(f"{system}/".encode(), del_by_prefix=True, namespace=_NAMESPACE)


def _note(system: str, name: str) -> bytes:
    return f"{system}/#{name}".encode()  # no family is called so


def _next(name: str, least: int) -> int:
    key = name.encode()
    number = max(least, int(_internal_kv_get(key, namespace=_NAMESPACE) or 0) + 1)
    _internal_kv_put(key, str(number).encode(), overwrite=True, namespace=_NAMESPACE)
    return number
