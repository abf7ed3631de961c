"""What the divergences of two next-token distributions share.

Shape suffixes: N response positions, V vocabulary, B positions of one block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from understudy_worker.blocks import blocks
from understudy_worker.objectives.terms import TeacherRows, Terms


class Divergence(Protocol):
    """The fields that every divergence's specification has."""

    @property
    def temperature(self) -> float: ...


def level(spec: Divergence) -> Literal["token"]:
    return "token"


def needs_teacher(spec: Divergence) -> bool:
    return True


def at_temperature(
    student_NV: Tensor,
    teacher: TeacherRows | None,
    spec: Divergence,
    divergence: Callable[[Tensor, Tensor], Tensor],
) -> Terms:
    """`T^2` times the divergence of softmax(z_p / T) and softmax(z_q / T), so that its gradient's size does not depend
    on T (arXiv 1503.02531). `divergence` takes log p and log q (BV, normalised) and gives a sum in nats."""
    assert teacher is not None, "the caller gives a teacher to an objective that needs one"
    with torch.no_grad():
        teacher_NV = teacher.logits()

    def terms(student_BV: Tensor, block: slice) -> Tensor:
        log_p_BV = (teacher_NV[block] / spec.temperature).log_softmax(dim=1)
        log_q_BV = (student_BV / spec.temperature).log_softmax(dim=1)
        return divergence(log_p_BV, log_q_BV) * spec.temperature**2

    loss = sum_over_blocks(student_NV, terms)
    return loss, {"loss/distill": loss.detach()}


def sum_over_blocks(logits_NV: Tensor, terms: Callable[[Tensor, slice], Tensor]) -> Tensor:
    """The sum of `terms(logits_NV[block], block)`, a scalar, over blocks of positions. A block's gradient is taken
    right after its value, so that of what it is made of only one block's worth exists."""
    result: Tensor = _SumOverBlocks.apply(logits_NV, terms)  # type: ignore[no-untyped-call]
    return result


class _SumOverBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, terms: Callable[[Tensor, slice], Tensor]) -> Tensor:
        total = logits_NV.new_zeros(())
        gradient_NV = torch.empty_like(logits_NV) if ctx.needs_input_grad[0] else None
        for block in blocks(logits_NV):
            leaf_BV = logits_NV[block].detach()
            if gradient_NV is None:
                total += terms(leaf_BV, block)
                continue
            with torch.enable_grad():
                value = terms(leaf_BV.requires_grad_(), block)
            (gradient_NV[block],) = torch.autograd.grad(value, leaf_BV)
            total += value.detach()
        ctx.save_for_backward(gradient_NV)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None]:
        (gradient_NV,) = ctx.saved_tensors
        return gradient_NV * scale, None


def expected_log_ratio(weights_NV: Tensor, log_a_NV: Tensor, log_b_NV: Tensor) -> Tensor:
    """`sum weights (log a - log b)`, where a weight of 0 counts nothing even beside an infinite logarithm."""
    ratio_NV = log_a_NV - log_b_NV
    return (weights_NV * torch.where(weights_NV > 0, ratio_NV, 0.0)).sum()


def mixture(log_a_NV: Tensor, log_b_NV: Tensor, *, share: float) -> Tensor:
    """log((1 - share) a + share b), share in (0, 1). A sum below the least normal number counts as that: what such a
    token adds to an expectation is below 1e-35, and its gradient is 0 instead of 0/0 where both are 0."""
    mixed_NV = torch.lerp(log_a_NV.exp(), log_b_NV.exp(), share)
    return mixed_NV.clamp(min=torch.finfo(mixed_NV.dtype).tiny).log()
