"""The most memory that this process has held, and what there was too little of it for."""

from __future__ import annotations

import resource

import torch


def peak_memory_bytes() -> int:
    """On a GPU what its allocator has handed out at most, else the resident set's high-water mark."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class OutOfMemory(Exception):
    """The micro-batch that did not fit."""

    def __init__(self, *, rows: int, tokens: int) -> None:
        super().__init__(f"{rows} rows, {tokens} tokens")
        self.rows = rows
        self.tokens = tokens


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class for it, CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
