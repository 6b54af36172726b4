"""Numbers of incarnations, kept in Ray's GCS: no name is used twice, also when the root has been restarted."""

from __future__ import annotations

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put

_NAMESPACE = b"raybeam"


def next_incarnation(system: str, family: str, index: int) -> int:
    """A number that no replica at this place had before, counted from 1. Blocks on Ray."""
    key = f"{system}/{family}/{index}".encode()
    number = int(_internal_kv_get(key, namespace=_NAMESPACE) or 0) + 1
    _internal_kv_put(key, str(number).encode(), overwrite=True, namespace=_NAMESPACE)
    return number


def forget_incarnations(system: str) -> None:
    """Remove the numbers of a system that has ended. Blocks on Ray."""
    _internal_kv_del(f"{system}/".encode(), del_by_prefix=True, namespace=_NAMESPACE)
