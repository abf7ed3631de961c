"""What torch and transformers keep once for the whole process, though jobs of several slots run in it: random numbers,
how layers are initialised and tied."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Held by whoever draws from torch's own generators, or has transformers make a model: it replaces functions of torch
# and of its own classes meanwhile, so that a model made beside it would lack weights.
PROCESS = threading.RLock()


def seed_of(label: str) -> int:
    """A number of 56 bits; different labels have unrelated ones."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:7], "big")


@contextmanager
def seeded(label: str) -> Iterator[None]:
    """Torch's own random numbers are a function of the label within the block, whatever other jobs do, and go on
    behind it as if it had not been."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with PROCESS, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_of(label))
        yield
