"""Weights in 8 or 4 bits, rounded so that what the matrix does to the inputs that it sees changes least.

GPTQ (arXiv 2210.17323): one input channel after another is rounded, and the channels not yet rounded take over its
error as far as the inputs of the two go together. A few channels come last and stay in fp32: those of the largest
inputs, which would cost most and take over most.

Shape suffixes: K input channels, N outputs, B blocks of input channels, R channels kept in fp32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Input channels that share a scale and a zero point, for each output.
BLOCK = 32
# Of each channel's own sum of squares, added to it: inputs of other texts differ a little. Of their mean it would be
# far too much for most channels, beside the few with very large inputs.
DAMPING = 0.01
# Of the mean, for channels whose inputs were all 0.
UNSEEN = 1e-6
# Ranges tried for a block's grid in 4 bits, of the weights' own: a narrower one rounds most weights finer.
RANGES = (1.0, 0.95, 0.9, 0.85, 0.8)
# Outputs that are rounded at a time: a block of them stays in a processor's cache.
OUTPUTS = 2048
# Scales are stored in fp16, those of 4 bits also divided by this (`Rounded`).
HIGH = 16


@dataclass(frozen=True, eq=False)
class Rounded:
    """`(levels - zeros) * scales`, and the rows `kept` of the matrix in fp32, whose levels are the zero points.

    A scale is what fp16 can hold, divided by 16 too: the upper half of a byte is read as a number 16 times as large.
    """

    bits: int
    levels_KN: Tensor
    scales_BN: Tensor
    zeros_BN: Tensor
    kept_R: Tensor
    kept_RN: Tensor

    @property
    def block(self) -> int:
        return len(self.levels_KN) // len(self.scales_BN)

    def weight_KN(self) -> Tensor:
        """The matrix that the graph computes with."""
        zeros_KN, scales_KN = (part.repeat_interleave(self.block, 0) for part in (self.zeros_BN, self.scales_BN))
        weight_KN = (self.levels_KN.float() - zeros_KN.float()) * scales_KN
        weight_KN[self.kept_R] = self.kept_RN
        return weight_KN


def block_of(channels: int, bits: int) -> int | None:
    """The largest block up to BLOCK that divides the channels (their half in 4 bits, where two share a byte); None
    where there is none worth its scales."""
    of = channels // 2 if bits == 4 else channels
    if bits == 4 and channels % 2:
        return None
    return next((size for size in range(BLOCK, 7, -1) if of % size == 0), None)


def round_matrix(weight_KN: Tensor, hessian_KK: Tensor, *, bits: int, block: int, kept_R: Tensor) -> Rounded:
    """Minimises `sum over inputs x of (x W - x W')^2`, of which `hessian_KK` is the sum of `x x^T`.

    `kept_R` names the channels that stay in fp32.
    """
    is_kept_K = torch.zeros(len(weight_KN), dtype=torch.bool)
    is_kept_K[kept_R] = True
    order_K = torch.argsort(is_kept_K, stable=True)
    factor_KK = _factor(hessian_KK, order_K)
    parts = [
        _round_outputs(part_KN, factor_KK, order_K, is_kept_K, bits=bits, block=block)
        for part_KN in weight_KN.split(OUTPUTS, dim=1)
    ]
    levels_KN, scales_BN, zeros_BN, kept_RN = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    return Rounded(bits, levels_KN, scales_BN, zeros_BN, order_K[len(weight_KN) - len(kept_R) :], kept_RN)


def _round_outputs(
    weight_KN: Tensor, factor_KK: Tensor, order_K: Tensor, is_kept_K: Tensor, *, bits: int, block: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Levels, scales, zero points, and the channels that are kept; outputs have nothing to do with each other."""
    channels, outputs = weight_KN.shape
    left_KN = weight_KN[order_K]
    levels_KN = torch.empty(channels, outputs, dtype=torch.uint8)
    scales_BN = torch.empty(channels // block, outputs)
    zeros_BN = torch.empty(channels // block, outputs, dtype=torch.uint8)
    start = 0
    for number, kept_b in enumerate(is_kept_K.split(block)):
        stop = start + int((~kept_b).sum())
        part_bN, factor_bb = left_KN[start:stop], factor_KK[start:stop, start:stop]
        grid = _Grid.of(part_bN, factor_bb.diagonal() ** -2, bits=bits)
        scales_BN[number], zeros_BN[number] = grid.scale_N, grid.zero_N.to(torch.uint8)
        levels_KN[number * block : (number + 1) * block] = zeros_BN[number]
        levels_KN[order_K[start:stop]], errors_bN = _round_block(part_bN, factor_bb, grid)
        left_KN[stop:].addmm_(factor_KK[start:stop, stop:].T, errors_bN, alpha=-1)
        start = stop
    return levels_KN, scales_BN, zeros_BN, left_KN[start:].clone()


def _factor(hessian_KK: Tensor, order_K: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse Hessian: row k, from its diagonal on, says who takes over k's error."""
    damped_KK = hessian_KK.double()[order_K][:, order_K]
    own_K = damped_KK.diagonal()
    own_K.mul_(1 + DAMPING).add_(UNSEEN * float(own_K.mean()) or 1.0)
    inverse_KK = torch.cholesky_inverse(torch.linalg.cholesky(damped_KK))
    factor_KK: Tensor = torch.linalg.cholesky(inverse_KK, upper=True)
    return factor_KK.float()


def _round_block(part_bN: Tensor, factor_bb: Tensor, grid: _Grid) -> tuple[Tensor, Tensor]:
    """Levels of a block's channels, and the errors (each divided by its factor) that the other channels take over."""
    levels_bN = torch.empty_like(part_bN, dtype=torch.uint8)
    errors_bN = torch.empty_like(part_bN)
    for k in range(len(part_bN)):
        level_N = grid.level(part_bN[k])
        levels_bN[k] = level_N.to(torch.uint8)
        errors_bN[k] = (part_bN[k] - grid.value(level_N)) / factor_bb[k, k]
        part_bN[k + 1 :].addr_(factor_bb[k, k + 1 :], errors_bN[k], alpha=-1)
    return levels_bN, errors_bN


@dataclass(frozen=True, eq=False)
class _Grid:
    """The values that a block's weights may take: `(level - zero) * scale`, for each output."""

    top: int
    scale_N: Tensor
    zero_N: Tensor

    @classmethod
    def of(cls, part_bN: Tensor, importance_b: Tensor, *, bits: int) -> _Grid:
        """The range with the least error, each channel's weighed by its importance."""
        if len(part_bN) == 0:
            part_bN = part_bN.new_zeros(1, part_bN.shape[1])
            importance_b = importance_b.new_ones(1)
        low_N, high_N = part_bN.amin(0).clamp(max=0), part_bN.amax(0).clamp(min=0)
        best: _Grid | None = None
        least_N = torch.full_like(low_N, torch.inf)
        for share in RANGES if bits == 4 else (1.0,):
            grid = cls._spanning(low_N * share, high_N * share, top=2**bits - 1)
            error_N = importance_b @ (grid.value(grid.level(part_bN)) - part_bN) ** 2
            better_N = error_N < least_N
            if best is not None:
                grid = cls(
                    top=grid.top,
                    scale_N=torch.where(better_N, grid.scale_N, best.scale_N),
                    zero_N=torch.where(better_N, grid.zero_N, best.zero_N),
                )
            best, least_N = grid, torch.minimum(error_N, least_N)
        assert best is not None
        return best

    @classmethod
    def _spanning(cls, low_N: Tensor, high_N: Tensor, *, top: int) -> _Grid:
        smallest = HIGH * torch.finfo(torch.float16).smallest_normal / 1024
        exact_N = ((high_N - low_N) / top).clamp(min=smallest)
        scale_N = (exact_N / HIGH).half().float() * HIGH
        return cls(top=top, scale_N=scale_N, zero_N=(-low_N / scale_N).round().clamp(0, top))

    def level(self, weight: Tensor) -> Tensor:
        return ((weight / self.scale_N).round() + self.zero_N).clamp(0, self.top)

    def value(self, level: Tensor) -> Tensor:
        return (level - self.zero_N) * self.scale_N
