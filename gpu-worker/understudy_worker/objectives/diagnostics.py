"""How far two next-token distributions are apart, and how sure each is.

Shape suffixes: N response positions, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy_worker.objectives.distributions import expected_log_ratio


@torch.no_grad()
def divergences(student_NV: Tensor, teacher_NV: Tensor) -> dict[str, Tensor]:
    """Sums over N, in nats: KL(p || q), KL(q || p), the entropies of p and q."""
    log_q_NV, log_p_NV = student_NV.log_softmax(dim=1), teacher_NV.log_softmax(dim=1)
    q_NV, p_NV = log_q_NV.exp(), log_p_NV.exp()
    none = torch.zeros_like(log_p_NV)
    return {
        "kl/forward": expected_log_ratio(p_NV, log_p_NV, log_q_NV),
        "kl/reverse": expected_log_ratio(q_NV, log_q_NV, log_p_NV),
        "entropy/teacher": expected_log_ratio(p_NV, none, log_p_NV),
        "entropy/student": expected_log_ratio(q_NV, none, log_q_NV),
    }
