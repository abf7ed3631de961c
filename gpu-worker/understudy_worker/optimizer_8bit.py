"""AdamW whose moments take a byte a value: a 256-value code, scaled by the largest of each block of 256.

Source: arXiv 2110.02861 (8-bit Optimizers via Block-wise Quantization), with the dynamic tree code of arXiv 1511.04561.
Written here because the libraries that have it need compiled kernels for each device, or a compiler, and this repeats
its bits on any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

BLOCK = 256
# Smaller tensors (norms, biases) keep their moments in fp32: there is nothing to save.
LEAST_VALUES = 4096
# Powers of ten that the code spans below 1.
DECADES = 7


@lru_cache(maxsize=4)
def code(*, signed: bool) -> Tensor:
    """256 ascending values in [-1, 1] (signed) or [0, 1]: each decade towards 1 has twice the values of that below."""
    values = [0.0, 1.0]
    for decade in range(DECADES):
        count = 2**decade if signed else 2 ** (decade + 1)
        edges = torch.linspace(0.1, 1, count + 1, dtype=torch.float64)
        middles = ((edges[:-1] + edges[1:]) / 2 * 10.0 ** (decade - DECADES + 1)).tolist()
        values += middles + ([-value for value in middles] if signed else [])
    values += [0.0] * (256 - len(values))
    return torch.tensor(sorted(values), dtype=torch.float32)


def quantise(values: Tensor, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Codes (uint8, one a value, padded to whole blocks) and the scale of each block (fp32)."""
    flat = torch.nn.functional.pad(values.reshape(-1), (0, -values.numel() % BLOCK)).reshape(-1, BLOCK)
    scales = flat.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny)
    table = code(signed=signed).to(flat.device)
    middles = (table[1:] + table[:-1]) / 2
    codes = torch.bucketize(flat / scales[:, None], middles)
    return codes.to(torch.uint8).reshape(-1), scales


def dequantise(codes: Tensor, scales: Tensor, *, shape: torch.Size, signed: bool) -> Tensor:
    table = code(signed=signed).to(codes.device)
    values = table[codes.long()].reshape(-1, BLOCK) * scales[:, None]
    return values.reshape(-1)[: shape.numel()].reshape(shape)


class AdamW8bit(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101); `exp_avg` and `exp_avg_sq` are codes where a tensor is large enough, with their scales
    beside them."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float = 1e-8
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
        state["step"] += 1
        first, second = group["betas"]
        average = self._read(state, "exp_avg", parameter, signed=True)
        square = self._read(state, "exp_avg_sq", parameter, signed=False)
        gradient = parameter.grad
        assert gradient is not None
        average.lerp_(gradient, 1 - first)
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        self._write(state, "exp_avg", average, signed=True)
        self._write(state, "exp_avg_sq", square, signed=False)
        n = float(state["step"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        size = group["lr"] / (1 - first**n)
        parameter.addcdiv_(average, (square / (1 - second**n)).sqrt_().add_(group["eps"]), value=-size)

    def _read(self, state: dict[str, Tensor], name: str, parameter: Tensor, *, signed: bool) -> Tensor:
        if name not in state:
            return torch.zeros_like(parameter)
        if f"{name}_scale" not in state:
            return state[name]
        return dequantise(state[name], state[f"{name}_scale"], shape=parameter.shape, signed=signed)

    def _write(self, state: dict[str, Tensor], name: str, values: Tensor, *, signed: bool) -> None:
        if values.numel() < LEAST_VALUES:
            state[name] = values
        else:
            state[name], state[f"{name}_scale"] = quantise(values, signed=signed)
