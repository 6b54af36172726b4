"""`ray up` on one machine: the machines of its cluster are groups of processes, each with a loopback address."""

from .local_ray_up import LocalRayUp

__all__ = ["LocalRayUp"]
