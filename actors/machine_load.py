"""How loaded the machine is, as the operating system tells."""

from __future__ import annotations

import psutil

from .kernel.regulation.damper import Sample


def machine_load() -> Sample:
    """The share of CPU time that was used since the last time that this process asked, and of memory in use."""
    return Sample(psutil.cpu_percent(None) / 100, psutil.virtual_memory().percent / 100)
