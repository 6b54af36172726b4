"""A Ray cluster of several machines' worth of nodes on this one, and the way into a cluster that runs already."""

from .connection import Connection, connect, existing
from .local_cluster import LocalCluster, LocalClusterOptions

__all__ = ["Connection", "LocalCluster", "LocalClusterOptions", "connect", "existing"]
