"""AdamW with decay on matrices only, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from understudy_worker.errors import WorkerError
from understudy_worker.optimizer_8bit import AdamW8bit
from understudy_worker.sharding import full, like
from understudy_worker.student import Student
from understudy_worker.wire import Optimizer

# What optimizers call the count of steps in a parameter's state.
STEP = "step"
# What stands before a weight's name among the tensors of a resume state.
WEIGHTS = "weights"


def learning_rate(n: int, spec: Optimizer) -> float:
    """Of step n = 1, 2, ...: linear warm-up to the peak at step `warmup_steps`, then the schedule, never rising.

    With `p = (n - 1 - warmup) / (total - warmup)`: cosine `min + (peak - min) (1 + cos(pi p)) / 2`,
    linear `peak + (min - peak) p`, constant `peak`.
    """
    peak, least = spec.learning_rate, spec.min_learning_rate
    if n <= spec.warmup_steps:
        return peak * n / spec.warmup_steps
    if spec.schedule == "constant":
        return peak
    share = min(1.0, (n - 1 - spec.warmup_steps) / max(1, spec.total_steps - spec.warmup_steps))
    if spec.schedule == "linear":
        return peak + (least - peak) * share
    return least + (peak - least) * (1 + math.cos(math.pi * share)) / 2


def make_optimizer(student: Student, spec: Optimizer) -> torch.optim.Optimizer:
    """AdamW (arXiv 1711.05101) over the trainable parameters; vectors (norms, biases) are not decayed."""
    trainable = [parameter for _, parameter in student.trainable()]
    groups = [
        {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    first, second = spec.betas
    if spec.type == "adamw_8bit":
        if any(isinstance(parameter, DTensor) for parameter in trainable):
            raise WorkerError("unsupported_optimizer", "adamw_8bit runs in one process; this worker has several")
        return AdamW8bit(groups, lr=spec.learning_rate, betas=(first, second))
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(first, second), fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value


def clip(student: Student, most: float) -> float:
    """L2 clipping over all trainable parameters together; the norm before clipping."""
    return float(full(torch.nn.utils.clip_grad_norm_([parameter for _, parameter in student.trainable()], most)))


def optimizer_tensors(student: Student, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The optimizer's state as `<state>/<parameter>`, such as `exp_avg/lm_head.weight`; none before the first step. The
    count of steps is the run's own."""
    for name, parameter in student.trainable():
        for key, value in optimizer.state.get(parameter, {}).items():
            if key != STEP:
                yield f"{key}/{name}", value


def restore_optimizer(
    student: Student, optimizer: torch.optim.Optimizer, *, step: int, tensors: Mapping[str, Tensor]
) -> None:
    """Put what `optimizer_tensors` gave back, as after `step` steps."""
    found: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        found[name][kind] = value
    for name, parameter in student.trainable():
        state = {
            kind: like(parameter, value) if value.shape == parameter.shape else value.to(parameter.device, copy=True)
            for kind, value in found[name].items()
            if kind != WEIGHTS
        }
        if state:
            count = torch.tensor(float(step), dtype=torch.float32, device=_count_device(optimizer, parameter))
            optimizer.state[parameter] = {STEP: count, **state}


def _count_device(optimizer: torch.optim.Optimizer, parameter: Tensor) -> torch.device:
    """torch's fused AdamW has its counts on the parameters' device, ours on the CPU."""
    return torch.device("cpu") if isinstance(optimizer, AdamW8bit) else parameter.device
