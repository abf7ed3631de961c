"""Objectives over responses that the student samples, by policy gradient: minillm and reward_kl.

Both maximise `E_q[R] - beta KL(q || p)` over whole responses, R a given reward: minillm has R = 0 and beta = 1 (reverse
KL), reward_kl is DPKD's first stage. The KL is split at each token (single-step decomposition): the exact divergence of
the next-token distributions there, and what the choice of the token means for the rest, whose gradient is REINFORCE.

Sources: arXiv 2306.08543 (MiniLLM, sections 2.2 and A), arXiv 2406.19774 (DPKD, the first stage).
Shape suffixes: N positions of the responses laid end to end, S responses, V vocabulary, B positions of one
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from understudy_worker.objectives import kl
from understudy_worker.objectives.distributions import sum_over_blocks
from understudy_worker.objectives.terms import TeacherRows, Terms
from understudy_worker.wire import MiniLlmObjective, RewardKlObjective

TYPES = ("minillm", "reward_kl")
Spec = MiniLlmObjective | RewardKlObjective


def level(spec: Spec) -> Literal["policy"]:
    return "policy"


def needs_teacher(spec: Spec) -> bool:
    return True


def beta(spec: Spec) -> float:
    return spec.beta if isinstance(spec, RewardKlObjective) else 1.0


def advantages(
    student_N: Tensor, teacher_N: Tensor, *, lengths: Sequence[int], rewards_S: Tensor | None, spec: Spec
) -> Tensor:
    """advantages_N, without gradient: what follows the choice of each token.

        A_t = R(y) - beta sum_{t' > t} (log q(y_t') - log p(y_t'))

    Length normalisation (minillm) divides the sum by its number of terms, so that short responses are not favoured. No
    baseline is subtracted: the estimate is unbiased for fresh samples at temperature 1 and top_p 1.
    """
    rows = []
    for index, ratio in enumerate((student_N - teacher_N).detach().split(list(lengths))):
        after = ratio.sum() - ratio.cumsum(dim=0)
        if isinstance(spec, MiniLlmObjective) and spec.length_normalize:
            remaining = torch.arange(len(ratio) - 1, -1, -1, dtype=ratio.dtype, device=ratio.device)
            after = after / remaining.clamp(min=1)
        reward = 0.0 if rewards_S is None else rewards_S[index].to(ratio)
        rows.append(reward - beta(spec) * after)
    return torch.cat(rows) if rows else student_N.detach()


def policy_terms(
    student_NV: Tensor, teacher: TeacherRows, sampled_N: Tensor, advantages_N: Tensor, *, spec: Spec
) -> Terms:
    """`sum_t beta KL(q(.|y_<t) || p(.|y_<t)) - A_t log q(y_t)`: its gradient estimates that of `beta KL(q || p) - E[R]`
    over whole responses; the metric `loss/distill` is its value, in nats times beta."""
    with torch.no_grad():
        teacher_NV = teacher.logits()

    def terms(student_BV: Tensor, block: slice) -> Tensor:
        log_q_BV = student_BV.log_softmax(dim=1)
        sampled_B = log_q_BV.gather(1, sampled_N[block, None])[:, 0]
        here = beta(spec) * kl.reverse(teacher_NV[block].log_softmax(dim=1), log_q_BV)
        return here - (advantages_N[block].detach() * sampled_B).sum()

    loss = sum_over_blocks(student_NV, terms)
    return loss, {"loss/distill": loss.detach()}
