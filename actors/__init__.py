"""raybeam.actors."""

if not __name__.startswith("raybeam."):
    raise ImportError("import raybeam.actors, not actors")
