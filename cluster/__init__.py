"""raybeam.cluster."""

if not __name__.startswith("raybeam."):
    raise ImportError("import raybeam.cluster, not cluster")
