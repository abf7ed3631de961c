"""The processes that share one run when a model outgrows a device: started by `torchrun`, one worker to the pool.

Rank 0 speaks to the pool and leads; the others do what it does, at the same time. The death of any is the death of the
worker: torchrun ends the rest, and the pool leases the run again.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.losses import Sums
from understudy_worker.memory import OutOfMemory
from understudy_worker.prune import decoder_layers

log = logging.getLogger("understudy")

T = TypeVar("T")
# How long a rank waits for another: between two leases as long as it takes. A dead one is torchrun's to notice.
PATIENCE = timedelta(days=365)
EXIT_LOST = 1


class Ranks:
    """This process among its fellows; alone unless torchrun says otherwise."""

    def __init__(self, *, rank: int = 0, world: int = 1) -> None:
        self.rank = rank
        self.world = world
        self._lost = False

    @classmethod
    def join(cls, device: torch.device) -> Ranks:
        """As torchrun's environment says. NCCL between GPUs, gloo for everything on CPUs."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return cls(rank=dist.get_rank(), world=world)

    def lead(self, call: str, **arguments: Any) -> None:
        """Have the other ranks make the same call; the arguments are JSON. They, who make it, say nothing."""
        if self._lost:
            self._end()
        if self.world > 1 and self.rank == 0:
            with self.together():
                _broadcast(json.dumps([call, arguments]).encode())

    @contextmanager
    def together(self) -> Iterator[None]:
        """Around what the ranks do at one time. An error that is not told to all (`agree`) leaves the others waiting
        for this one: the process ends, and torchrun ends them. Out of memory, rank 0 tells the pool before."""
        try:
            yield
        except (WorkerError, Abandoned):
            raise
        except Exception as error:
            if self.world > 1:
                log.error("rank %d is out of step with the others", self.rank, exc_info=error)
                self._lost = True
                if self.rank > 0 or not isinstance(error, OutOfMemory):
                    self._end()
            raise

    def _end(self) -> NoReturn:
        """At once: no other thread waits, and none that waits on an exchange could be asked."""
        os._exit(EXIT_LOST)

    def agree(self, compute: Callable[[], T]) -> T:
        """What `compute` returns, which exchanges nothing; what it raises on any rank is raised on all."""
        if self.world == 1:
            return compute()
        failed: WorkerError | Abandoned | None = None
        try:
            result = compute()
        except (WorkerError, Abandoned) as error:
            failed = error
        everyone: list[Any] = [None] * self.world
        code = failed.code if isinstance(failed, WorkerError) else "abandoned"
        dist.all_gather_object(everyone, failed and (code, str(failed), getattr(failed, "retryable", True)))
        if failed is not None:
            raise failed
        for rank, told in enumerate(everyone):
            if told is not None:
                raise WorkerError(told[0], f"rank {rank}: {told[1]}", retryable=told[2])
        return result

    def quietly(self, tick: Callable[[], None]) -> Callable[[], None]:
        """A tick between exchanges: that the lease is gone is noticed after them, on every rank at the same place."""

        def quiet() -> None:
            with suppress(Abandoned):
                tick()

        return tick if self.world == 1 else quiet

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The calls of rank 0, until it leaves."""
        while message := _broadcast(None):
            call, arguments = json.loads(message)
            yield call, arguments

    def leave(self, status: int = 0) -> NoReturn:
        """Ends this process; rank 0 of a group tells the others first."""
        if self.world == 1:
            sys.exit(status)
        if self.rank == 0:
            _broadcast(b"")
        dist.destroy_process_group()
        # Not by way of the interpreter's end: threads that gloo and FSDP leave behind abort there now and then.
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

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
