"""Test tools: virtual time, simulated networks, and runs without sleeping and without Ray."""

from .network import Network
from .virtual_time import VirtualTimeLoop, run, settle

__all__ = ["Network", "VirtualTimeLoop", "run", "settle"]
