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
# Values that are decoded at one time, whole blocks: what a step allocates does not grow with a tensor.
PIECE = 1 << 18
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
    """The values that the codes stand for. A square coded 0 is read as the middle of what rounds to 0: a first moment
    that is still coded would else be divided by nothing (the zero-point problem of arXiv 2309.01507)."""
    table = code(signed=signed).to(codes.device, copy=True)
    if not signed:
        table[0] = table[1] / 4
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
            _begin(state, parameter)
        state["step"] += 1
        assert parameter.grad is not None
        pieces = zip(parameter.view(-1).split(PIECE), parameter.grad.reshape(-1).split(PIECE), strict=True)
        for index, (values, gradient) in enumerate(pieces):
            _advance(state, index, values, gradient, group)


def _begin(state: dict[str, Tensor], parameter: Tensor) -> None:
    """Moments of zero."""
    state["step"] = torch.tensor(0.0)
    for name, signed in (("exp_avg", True), ("exp_avg_sq", False)):
        if parameter.numel() < LEAST_VALUES:
            state[name] = torch.zeros_like(parameter)
        else:
            zeros, scale = quantise(torch.zeros(BLOCK, device=parameter.device), signed=signed)
            blocks = -(-parameter.numel() // BLOCK)
            state[name], state[f"{name}_scale"] = zeros.repeat(blocks), scale.repeat(blocks)


def _advance(state: dict[str, Tensor], index: int, values: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
    """One step of one piece of a tensor."""
    (first, second), n = group["betas"], float(state["step"])
    average = _read(state, "exp_avg", index, values.shape, signed=True)
    square = _read(state, "exp_avg_sq", index, values.shape, signed=False)
    average.lerp_(gradient, 1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    _write(state, "exp_avg", index, average, signed=True)
    _write(state, "exp_avg_sq", index, square, signed=False)
    values.mul_(1 - group["lr"] * group["weight_decay"])
    deviation = (square / (1 - second**n)).sqrt_().add_(group["eps"])
    values.addcdiv_(average, deviation, value=-group["lr"] / (1 - first**n))


def _read(state: dict[str, Tensor], name: str, index: int, shape: torch.Size, *, signed: bool) -> Tensor:
    if f"{name}_scale" not in state:
        return state[name].view(-1)
    codes, scales = _piece(state, name, index)
    return dequantise(codes, scales, shape=shape, signed=signed)


def _write(state: dict[str, Tensor], name: str, index: int, values: Tensor, *, signed: bool) -> None:
    if f"{name}_scale" in state:
        for place, coded in zip(_piece(state, name, index), quantise(values, signed=signed), strict=True):
            place.copy_(coded)


def _piece(state: dict[str, Tensor], name: str, index: int) -> tuple[Tensor, Tensor]:
    return state[name].split(PIECE)[index], state[f"{name}_scale"].split(PIECE // BLOCK)[index]
