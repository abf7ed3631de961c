"""The processes that share one run when a model outgrows a device: started by `torchrun`, one worker to the pool.

Rank 0 speaks to the pool and leads; the others do what it does, at the same time. The death of any is the death of the
worker: torchrun ends the rest, and the pool leases the run again.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from understudy_worker.losses import Sums
from understudy_worker.prune import decoder_layers

T = TypeVar("T")


class Ranks:
    """This process among its fellows; alone unless torchrun says otherwise."""

    def __init__(self, *, rank: int = 0, world: int = 1) -> None:
        self.rank = rank
        self.world = world

    @classmethod
    def join(cls, device: torch.device) -> Ranks:
        """As torchrun's environment says. NCCL between GPUs, else gloo."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(rank=dist.get_rank(), world=world)

    def lead(self, call: str, **arguments: Any) -> None:
        """Have the other ranks make the same call; the arguments are JSON. They, who make it, say nothing."""
        if self.world > 1 and self.rank == 0:
            _broadcast(json.dumps([call, arguments]).encode())

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The calls of rank 0, until it leaves."""
        while message := _broadcast(None):
            call, arguments = json.loads(message)
            yield call, arguments

    def leave(self) -> None:
        if self.world > 1:
            if self.rank == 0:
                _broadcast(b"")
            dist.destroy_process_group()

    def total(self, sums: Sums) -> Sums:
        """Each sum over all ranks, added in their order: every rank gets the same bits."""
        if self.world == 1:
            return sums
        everyone: list[Any] = [None] * self.world
        dist.all_gather_object(everyone, dict(sums))
        total: Sums = defaultdict(float)
        for one in everyone:
            for name, value in one.items():
                total[name] += value
        return total


def _broadcast(message: bytes | None) -> bytes:
    """From rank 0, which gives it, to the others, which give None."""
    size = torch.tensor([len(message or b"")])
    dist.broadcast(size, src=0)
    data = (
        torch.frombuffer(bytearray(message), dtype=torch.uint8)
        if message
        else torch.empty(int(size), dtype=torch.uint8)
    )
    if int(size):
        dist.broadcast(data, src=0)
    return data.numpy().tobytes()


class Whole(nn.Module):
    """A model that computes whatever it is given: sharded, its parameters are whole within a call, and gradients are
    averaged over the ranks when the call's loss has its backward pass."""

    def __init__(self, model: PreTrainedModel, *, ranks: Ranks) -> None:
        super().__init__()
        self.model = model
        if ranks.world > 1:
            mesh = init_device_mesh(model.device.type, (ranks.world,))
            owner, name = decoder_layers(model)
            for layer in getattr(owner, name):
                fully_shard(layer, mesh=mesh)
            fully_shard(self, mesh=mesh)

    def forward(self, compute: Callable[[], T]) -> T:
        return compute()

    def run(self, compute: Callable[[], T]) -> T:
        """What `compute` returns; the way in that types see."""
        result: T = self(compute)
        return result

    def sync(self, now: bool) -> None:
        """Whether the next backward pass averages the gradients: the last of a step does."""
        if hasattr(self, "set_requires_gradient_sync"):
            sync: Any = self.set_requires_gradient_sync
            sync(now)
