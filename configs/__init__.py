"""raybeam.configs."""

if not __name__.startswith("raybeam."):
    raise ImportError("import raybeam.configs, not configs")
