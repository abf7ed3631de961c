"""Weights in 8 or 4 bits, rounded so that what the matrix does to the inputs that it sees changes least.

GPTQ (arXiv 2210.17323): one input channel after another is rounded, and the channels not yet rounded take over its
error as far as the inputs of the two go together. Channels of small inputs come first, so that those of large ones can
take over most; the former may be in 4 bits, the latter are in 8, and the last are kept in fp16.

Shape suffixes: K input channels, N outputs, R channels kept in fp16, J the others, B blocks of these, b channels of a
block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Input channels that share a scale and a zero point, for each output; fewer where they do not divide. Beside channels
# in 4 bits, whose blocks are half as large, those in 8 hardly matter; alone they have smaller ones too.
BLOCK = 32
BLOCK_ALONE = 16
LEAST_BLOCK = 8
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


@dataclass(frozen=True)
class Split:
    """How the channels of a matrix are shared out: the first `few` in 4 bits, in blocks of `few_block`, `many` in 8
    bits, in blocks of `block`, and the last `kept` in fp16."""

    few: int
    many: int
    kept: int
    few_block: int
    block: int

    @classmethod
    def of(cls, channels: int, share: float, kept: float) -> Split | None:
        """With about these shares of the channels in 4 bits and in fp16. None where they do not divide into blocks."""
        if few := _divisor(channels, of=2, most=BLOCK) if share else None:
            count = few * int(share * channels / few + 0.5)
            if count:
                return cls._with(channels, few=count, kept=kept, few_block=few // 2, block=few)
        block = _divisor(channels, of=1, most=BLOCK_ALONE)
        return None if block is None else cls._with(channels, few=0, kept=kept, few_block=block, block=block)

    @classmethod
    def _with(cls, channels: int, *, few: int, kept: float, few_block: int, block: int) -> Split:
        """Where all could be in 4 bits or in fp16, fewer are in 4 bits."""
        count = block * int(kept * channels / block + 0.5)
        few = min(few, channels - count)
        return cls(few=few, many=channels - few - count, kept=count, few_block=few_block, block=block)

    def blocks(self) -> list[int]:
        """Channels of each block."""
        return [self.few_block] * (self.few // self.few_block) + [self.block] * (self.many // self.block)


def _divisor(channels: int, *, of: int, most: int) -> int | None:
    """The largest multiple of `of` that divides the channels and is no block too large or too small."""
    return next((size for size in range(most, LEAST_BLOCK - 1, -1) if channels % size == 0 and size % of == 0), None)


@dataclass(frozen=True, eq=False)
class Rounded:
    """`(levels - zeros) * scales` in the order of channels `order_K`: of small inputs first, some of them in 4
    bits, the others in 8. The last channels are `kept_RN`, which fp16 holds exactly.

    A scale is what fp16 can hold, divided by 16 too: the upper half of a byte is read as a number 16 times as large.
    """

    order_K: Tensor
    split: Split
    levels_JN: Tensor
    scales_BN: Tensor
    zeros_BN: Tensor
    kept_RN: Tensor

    def weight_KN(self) -> Tensor:
        """The matrix that the graph computes with."""
        sizes_B = torch.tensor(self.split.blocks())
        zeros_JN, scales_JN = (part.repeat_interleave(sizes_B, 0) for part in (self.zeros_BN, self.scales_BN))
        ordered_KN = torch.cat([(self.levels_JN.float() - zeros_JN.float()) * scales_JN, self.kept_RN])
        weight_KN = torch.empty_like(ordered_KN)
        weight_KN[self.order_K] = ordered_KN
        return weight_KN

    def columns(self, part: slice) -> Rounded:
        """The matrix with some of its outputs."""
        return Rounded(
            order_K=self.order_K,
            split=self.split,
            levels_JN=self.levels_JN[:, part],
            scales_BN=self.scales_BN[:, part],
            zeros_BN=self.zeros_BN[:, part],
            kept_RN=self.kept_RN[:, part],
        )


def round_matrix(weight_KN: Tensor, inputs_KK: Tensor, *, split: Split) -> Rounded:
    """Minimises `sum over inputs x of (x W - x W')^2`, of which `inputs_KK` is the sum of `x x^T`."""
    order_K = torch.argsort(inputs_KK.diagonal(), stable=True)
    factor_KK = _factor(inputs_KK[order_K][:, order_K])
    parts = [_round_outputs(part_KN, factor_KK, split=split) for part_KN in weight_KN[order_K].split(OUTPUTS, dim=1)]
    levels_JN, scales_BN, zeros_BN, kept_RN = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    return Rounded(order_K, split, levels_JN, scales_BN, zeros_BN, kept_RN)


def _round_outputs(left_KN: Tensor, factor_KK: Tensor, *, split: Split) -> tuple[Tensor, ...]:
    """Levels, scales, zero points, and the channels that are kept; outputs have nothing to do with each other.
    `left_KN` is changed."""
    levels, scales, zeros = [], [], []
    start = 0
    for size in split.blocks():
        stop = start + size
        part_bN, factor_bb = left_KN[start:stop], factor_KK[start:stop, start:stop]
        grid = _Grid.of(part_bN, factor_bb.diagonal() ** -2, bits=4 if start < split.few else 8)
        levels_bN, errors_bN = _round_block(part_bN, factor_bb, grid)
        left_KN[stop:].addmm_(factor_KK[start:stop, stop:].T, errors_bN, alpha=-1)
        levels.append(levels_bN)
        scales.append(grid.scale_N)
        zeros.append(grid.zero_N.to(torch.uint8))
        start = stop
    return torch.cat(levels), torch.stack(scales), torch.stack(zeros), left_KN[start:].half().float()


def _factor(inputs_KK: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse: row k, from its diagonal on, says who takes over k's error."""
    damped_KK = inputs_KK.double()
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
