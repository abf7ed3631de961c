"""Adaptive Kullback-Leibler divergence: forward and reverse, weighted by where the two distributions differ.

Source: arXiv 2404.02657, section 4.
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy_worker.objectives.distributions import at_temperature, level, needs_teacher
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import AdaptiveKlObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("adaptive_kl",)


def token_terms(
    student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: AdaptiveKlObjective
) -> Terms:
    """`g_head / (g_head + g_tail) KL(p || q) + g_tail / (g_head + g_tail) KL(q || p)` a position, in nats.

    The head is the fewest of the teacher's most probable tokens whose probabilities reach `head_mass` (ties: the lowest
    id first), the tail the rest; g is the sum of |p - q| over it. Where p = q both weights are one half. No gradient
    flows through the weights.
    """

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        with torch.no_grad():
            head_share_N = _head_share(log_p_NV.exp(), log_q_NV.exp(), spec.head_mass)
        p_NV, q_NV = log_p_NV.exp(), log_q_NV.exp()
        ratio_NV = log_p_NV - log_q_NV
        forward_N = (p_NV * torch.where(p_NV > 0, ratio_NV, 0.0)).sum(dim=1)
        reverse_N = -(q_NV * torch.where(q_NV > 0, ratio_NV, 0.0)).sum(dim=1)
        return (head_share_N * forward_N + (1 - head_share_N) * reverse_N).sum()

    return at_temperature(student_NV, teacher, spec, divergence)


def _head_share(p_NV: Tensor, q_NV: Tensor, head_mass: float) -> Tensor:
    """g_head / (g_head + g_tail) of each position."""
    sorted_NV, order_NV = p_NV.sort(dim=1, descending=True, stable=True)
    before_NV = sorted_NV.cumsum(dim=1) - sorted_NV
    gap_NV = (p_NV - q_NV).abs().gather(1, order_NV)
    head_N = (gap_NV * (before_NV < head_mass)).sum(dim=1)
    total_N = gap_NV.sum(dim=1)
    return torch.where(total_N > 0, head_N / total_N.clamp(min=torch.finfo(total_N.dtype).tiny), 0.5)
