"""Adaptive Kullback-Leibler divergence: forward and reverse, weighted by where the two distributions differ.

Source: arXiv 2404.02657, section 4.
Shape suffixes: N response positions, V vocabulary, K most probable tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy_worker.objectives.distributions import at_temperature, level, needs_teacher
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import AdaptiveKlObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("adaptive_kl",)
# Of so many tokens the head is sought first: sorting the whole vocabulary costs more than all the rest.
LIKELY_HEAD = 256


def token_terms(
    student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: AdaptiveKlObjective
) -> Terms:
    """`g_head / (g_head + g_tail) KL(p || q) + g_tail / (g_head + g_tail) KL(q || p)` a position, in nats.

    The head is the fewest of the teacher's most probable tokens whose probabilities reach `head_mass`, with all that
    are as probable as the last of them; the tail is the rest; g is the sum of |p - q| over it. Where p = q both weights
    are one half. No gradient flows through the weights.
    """

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        p_NV, q_NV = log_p_NV.exp(), log_q_NV.exp()
        with torch.no_grad():
            share_N = _head_share(p_NV, q_NV, spec.head_mass)
        ratio_NV = log_p_NV - log_q_NV
        forward_N = (p_NV * torch.where(p_NV > 0, ratio_NV, 0.0)).sum(dim=1)
        reverse_N = -(q_NV * torch.where(q_NV > 0, ratio_NV, 0.0)).sum(dim=1)
        # A share of 0 counts nothing even of an infinite divergence.
        return (share_N * torch.where(share_N > 0, forward_N, 0.0) + (1 - share_N) * reverse_N).sum()

    return at_temperature(student_NV, teacher, spec, divergence)


def _head_share(p_NV: Tensor, q_NV: Tensor, head_mass: float) -> Tensor:
    """g_head / (g_head + g_tail) of each position."""
    gap_NV = (p_NV - q_NV).abs()
    head_N = (gap_NV * (p_NV >= _least_of_head(p_NV, head_mass)[:, None])).sum(dim=1)
    total_N = gap_NV.sum(dim=1)
    return torch.where(total_N > 0, head_N / total_N, 0.5)


def _least_of_head(p_NV: Tensor, head_mass: float) -> Tensor:
    """The probability of the head's last token."""
    likely_NK = p_NV.topk(min(LIKELY_HEAD, p_NV.shape[1])).values
    if (likely_NK.sum(dim=1) < head_mass).any():
        likely_NK = p_NV.sort(dim=1, descending=True).values
    before_NK = likely_NK.cumsum(dim=1) - likely_NK
    last_N = (before_NK < head_mass).sum(dim=1) - 1
    return likely_NK.gather(1, last_N[:, None])[:, 0]
