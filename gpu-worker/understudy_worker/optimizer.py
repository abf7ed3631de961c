"""AdamW with decay on matrices only, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from understudy_worker.wire import Optimizer

# Adam's moments by the names that torch gives them.
MOMENTS = ("exp_avg", "exp_avg_sq")


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


def adamw(model: nn.Module, spec: Optimizer) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) over the trainable parameters; vectors (norms, biases) are not decayed."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.dim() >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in trainable if p.dim() < 2], "weight_decay": 0.0},
    ]
    first, second = spec.betas
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=spec.learning_rate, betas=(first, second), fused=True
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments as `exp_avg/<parameter>`, `exp_avg_sq/<parameter>`; empty before the first step."""
    return {
        f"{moment}/{name}": optimizer.state[parameter][moment]
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for moment in MOMENTS
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int, tensors: Mapping[str, Tensor]
) -> None:
    """Put the moments of `optimizer_tensors` back, as after `step` steps."""
    for name, parameter in model.named_parameters():
        if f"exp_avg/{name}" not in tensors:
            continue
        state = {moment: torch.empty_like(parameter).copy_(tensors[f"{moment}/{name}"]) for moment in MOMENTS}
        count = torch.tensor(float(step), dtype=torch.float32, device=parameter.device)
        optimizer.state[parameter] = {"step": count, **state}
