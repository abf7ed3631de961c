"""The most memory that this process has held."""

from __future__ import annotations

import resource

import torch


def peak_memory_bytes() -> int:
    """On a GPU what its allocator has handed out at most, else the resident set's high-water mark."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
