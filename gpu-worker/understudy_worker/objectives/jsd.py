"""Generalised Jensen-Shannon divergence, as GKD uses it.

Source: arXiv 2306.13649, equation 1.
Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from understudy_worker.objectives import kl
from understudy_worker.objectives.distributions import (
    at_temperature,
    expected_log_ratio,
    level,
    mixture,
    needs_teacher,
)
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import JsdObjective

__all__ = ["TYPES", "level", "needs_teacher", "token_terms"]
TYPES = ("jsd",)


def token_terms(student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: JsdObjective) -> Terms:
    """With `M = w p + (1 - w) q`, w the interpolation: `w KL(p || M) + (1 - w) KL(q || M)`, in nats, over V and N.

    The formula vanishes at both ends; there it is what its gradient tends to, over w or 1 - w: forward KL at 0, reverse
    KL at 1.
    """
    share = spec.interpolation

    def divergence(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
        if share == 0:
            return kl.forward(log_p_NV, log_q_NV)
        if share == 1:
            return kl.reverse(log_p_NV, log_q_NV)
        log_m_NV = mixture(log_q_NV, log_p_NV, share=share)
        towards_p = expected_log_ratio(log_p_NV.exp(), log_p_NV, log_m_NV)
        towards_q = expected_log_ratio(log_q_NV.exp(), log_q_NV, log_m_NV)
        return share * towards_p + (1 - share) * towards_q

    return at_temperature(student_NV, teacher, spec, divergence)
