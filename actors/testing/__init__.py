"""Test tools: virtual time, and runs without sleeping and without Ray."""

from .virtual_time import VirtualTimeLoop, run, settle

__all__ = ["VirtualTimeLoop", "run", "settle"]
