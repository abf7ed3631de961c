"""How far two next-token distributions are apart, and how sure each is.

Shape suffixes: N response positions, V vocabulary, B positions of one block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from understudy_worker.blocks import blocks
from understudy_worker.objectives.distributions import expected_log_ratio


@torch.no_grad()
def divergences(student_NV: Tensor, teacher_NV: Tensor) -> dict[str, Tensor]:
    """Sums over N, in nats: KL(p || q), KL(q || p), the entropies of p and q."""
    names = ("kl/forward", "kl/reverse", "entropy/teacher", "entropy/student")
    sums = {name: student_NV.new_zeros(()) for name in names}
    for block in blocks(student_NV):
        log_q_BV, log_p_BV = student_NV[block].log_softmax(dim=1), teacher_NV[block].log_softmax(dim=1)
        q_BV, p_BV = log_q_BV.exp(), log_p_BV.exp()
        none = torch.zeros_like(log_p_BV)
        sums["kl/forward"] += expected_log_ratio(p_BV, log_p_BV, log_q_BV)
        sums["kl/reverse"] += expected_log_ratio(q_BV, log_q_BV, log_p_BV)
        sums["entropy/teacher"] += expected_log_ratio(p_BV, none, log_p_BV)
        sums["entropy/student"] += expected_log_ratio(q_BV, none, log_q_BV)
    return sums
