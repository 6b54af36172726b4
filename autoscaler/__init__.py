"""raybeam.autoscaler."""

if not __name__.startswith("raybeam."):
    raise ImportError("import raybeam.autoscaler, not autoscaler")
