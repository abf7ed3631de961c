"""What every side shares: the request, plain models in memory of their own, and how time and memory are taken.

A side is a program: one JSON request on standard input, one JSON answer on standard output (see `Request`, `Answer`).
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

Batch = list[dict[str, Any]]
KIB = 1024
# AdamW as every side has it; decay on matrices only, as the engine does.
LEARNING_RATE = 1e-4
BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.01
GRAD_CLIP = 1.0


@dataclass(frozen=True)
class Request:
    """`folder` holds teacher/, student/ and rows.json, whose first `skip` batches are left out; `work` is the side's
    own. `warmup` steps are taken and dropped."""

    folder: str
    work: str
    objective: dict[str, Any]
    threads: int
    skip: int
    warmup: int
    steps: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def batches(self) -> list[Batch]:
        """The rows of each step."""
        batches: list[Batch] = json.loads((Path(self.folder) / "rows.json").read_text())
        end = self.skip + self.warmup + self.steps
        if len(batches) < end:
            raise SystemExit(f"rows.json has {len(batches)} batches; {end} are needed")
        return batches[self.skip : end]


@dataclass
class Answer:
    """Of every step, warm-up included: wall-clock seconds and loss (nats). Bytes: resident before the first step, with
    both models and an optimizer without moments in memory, and the high-water mark of the steps."""

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    loaded_bytes: int = 0
    peak_bytes: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


def serve(side: Callable[[Request], Answer]) -> None:
    """Answer the one request; whatever else is printed goes to standard error."""
    request = Request(**json.load(sys.stdin))
    answer_to, sys.stdout = sys.stdout, sys.stderr
    torch.set_num_threads(request.threads)
    answer = side(request)
    json.dump(asdict(answer), answer_to)


def load(folder: Path) -> PreTrainedModel:
    """In fp32, tensors in memory of their own: as loaded they are pages of a mapped file, resident only once read."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = tensor.data.clone()
    return model


def adamw(model: torch.nn.Module) -> torch.optim.AdamW:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, fused=True)


def resident(field_name: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the most since `forget_loading`)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field_name}:"):
            return int(line.split()[1]) * KIB
    raise SystemExit("the bench reads memory from /proc/self/status: run it on Linux")


def forget_loading() -> None:
    """Give memory that loading has freed back to the system and begin the high-water mark anew: an allocator that keeps
    it would count it as loaded, and then reuse it for nothing."""
    gc.collect()
    if malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


class Meter:
    """Takes the memory before the first step, then each step's seconds and loss, then the memory after the last."""

    def __init__(self) -> None:
        self.answer = Answer()

    def begin(self) -> None:
        forget_loading()
        self.answer.loaded_bytes = resident("VmRSS")

    def steps(self, batches: list[Batch]) -> Iterator[tuple[Batch, Callable[[float], None]]]:
        """Each batch with where its loss goes; a step is timed from the one to the other."""
        self.begin()
        for batch in batches:
            began = time.perf_counter()

            def done(loss: float, began: float = began) -> None:
                self.step(time.perf_counter() - began, loss)

            yield batch, done
        self.end()

    def step(self, seconds: float, loss: float) -> None:
        self.answer.seconds.append(seconds)
        self.answer.losses.append(loss)

    def end(self) -> None:
        self.answer.peak_bytes = resident("VmHWM")
