"""Hydra groups of `raybeam run`: `cluster`, `system`, `workload`."""

if not __name__.startswith("raybeam."):
    raise ImportError(f"import raybeam.{__name__}, not {__name__}: the bare name belongs to other packages")
