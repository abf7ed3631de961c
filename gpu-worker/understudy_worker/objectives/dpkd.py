"""Direct Preference Knowledge Distillation: make it likelier that the teacher's output is preferred to the student's.

Sources: arXiv 2406.19774 (DPKD; at token level in the form that the authors' released code trains, docs/method.md);
arXiv 2305.18290 (DPO, the sigmoid form and label smoothing's conservative form), arXiv 2310.12036 (IPO),
arXiv 2402.13228 (DPOP), arXiv 2405.14734 (SimPO).

Shape suffixes: N response positions, V vocabulary, K ids, P pairs.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from understudy_worker.objectives.terms import Pairs, TeacherRows, Terms, first_choice
from understudy_worker.wire import DpkdObjective

TYPES = ("dpkd",)


def level(spec: DpkdObjective) -> Literal["token", "sequence"]:
    return spec.granularity


def needs_teacher(spec: DpkdObjective) -> bool:
    """simpo has no reference and reference_free leaves it out; at token level y_t is still the teacher's choice."""
    return spec.granularity == "token" or not (spec.variant == "simpo" or spec.reference_free)


def beta(spec: DpkdObjective) -> float:
    """As given, else 0.1, and simpo's own 2.0."""
    return spec.beta if spec.beta is not None else 2.0 if spec.variant == "simpo" else 0.1


def _preferred(z: Tensor, label_smoothing: float) -> Tensor:
    """`-log sigmoid(z) (1 - label_smoothing) - log sigmoid(-z) label_smoothing`; -log sigmoid(z) = softplus(-z)."""
    if label_smoothing == 0:
        return softplus(-z)
    return softplus(-z) * (1 - label_smoothing) + softplus(z) * label_smoothing


def token_terms(student_NV: Tensor, teacher: TeacherRows | None, targets_N: Tensor, *, spec: DpkdObjective) -> Terms:
    """Loss summed over N response positions, in nats, and the sums of its metrics.

    At each position `y_t = argmax p`, `y_s = argmax q` (ties: the lowest id),

        m = (log q(y_t) - log q(y_s)) - (log p(y_t) - log p(y_s))        reference_free: without p
        sigmoid  -log sigmoid(beta m) (1 - label_smoothing) - log sigmoid(-beta m) label_smoothing
        dpop     the same with m - lambda max(0, log p(y_t) - log q(y_t)) for m

    The normalisers of p and q cancel in m, so it is a difference of logits: the teacher's are two dot products. m is
    never positive; where both agree on the first choice it is exactly 0, and sigmoid's loss is log 2, its gradient 0.
    """
    assert teacher is not None, "the caller gives a teacher to an objective that needs one"
    chosen_N, rejected_N = teacher.argmax_N, first_choice(student_NV)
    choices_N2 = torch.stack([chosen_N, rejected_N], dim=1)
    student_N2 = student_NV.gather(1, choices_N2)
    margin_N = student_N2[:, 0] - student_N2[:, 1]
    teacher_N2 = teacher.logits_at(choices_N2).detach()
    if not spec.reference_free:
        # Two dot products of one row may differ in their last bits.
        gap_N = torch.where(chosen_N == rejected_N, 0.0, teacher_N2[:, 0] - teacher_N2[:, 1])
        margin_N = margin_N - gap_N
    rewarded_N = margin_N
    if spec.variant == "dpop":
        log_q_N = student_N2[:, 0] - student_NV.logsumexp(dim=1)
        log_p_N = teacher_N2[:, 0] - teacher.logsumexp_N.detach()
        rewarded_N = margin_N - spec.lambda_ * (log_p_N - log_q_N).relu()
    loss = _preferred(beta(spec) * rewarded_N, spec.label_smoothing).sum()
    return loss, {
        "loss/distill": loss.detach(),
        "margin/token_mean": margin_N.detach().sum(),
        "argmax_agreement": (chosen_N == rejected_N).sum().to(margin_N.dtype),
    }


def sequence_terms(policy: Pairs, reference: Pairs | None, *, spec: DpkdObjective) -> Terms:
    """Loss summed over P pairs (y_t chosen, y_s rejected), in nats (ipo: its own unit), and the sums of its metrics.

    With `d_p = log p(y_t) - log p(y_s)` (0 for simpo and reference_free), `d_q` alike, `m = d_q - d_p`,

        sigmoid  -log sigmoid(beta m) (1 - label_smoothing) - log sigmoid(-beta m) label_smoothing
        ipo      (m - 1 / (2 beta))^2, on mean log-probabilities
        dpop     sigmoid with m - lambda max(0, log p(y_t) - log q(y_t)) for m
        simpo    sigmoid of beta d_q - gamma, on mean log-probabilities

    length_normalize takes mean instead of summed log-probabilities everywhere. `rewards/*` are beta (log q - log p) of
    each side, and an accuracy counts a tie as one half.
    """
    mean = spec.length_normalize or spec.variant in ("ipo", "simpo")
    none = spec.reference_free or spec.variant == "simpo"
    assert none or reference is not None, "the caller gives a teacher to an objective that needs one"
    log_q = _sides(policy, mean)
    log_p = tuple(torch.zeros_like(side) for side in log_q) if none or reference is None else _sides(reference, mean)
    scale = beta(spec)
    rewards = [scale * (q - p.detach()) for q, p in zip(log_q, log_p, strict=True)]
    margin_P = (log_q[0] - log_q[1]) - (log_p[0] - log_p[1]).detach()
    match spec.variant:
        case "ipo":
            loss = (margin_P - 1 / (2 * scale)).square().sum()
        case "dpop":
            short_P = (log_p[0].detach() - log_q[0]).relu()
            loss = _preferred(scale * (margin_P - spec.lambda_ * short_P), spec.label_smoothing).sum()
        case "simpo":
            loss = _preferred(scale * margin_P - spec.gamma, spec.label_smoothing).sum()
        case _:
            loss = _preferred(scale * margin_P, spec.label_smoothing).sum()
    rewarded_P = (rewards[0] - rewards[1]).detach()
    return loss, {
        "loss/distill": loss.detach(),
        "rewards/chosen": rewards[0].detach().sum(),
        "rewards/rejected": rewards[1].detach().sum(),
        "rewards/margins": rewarded_P.sum(),
        "rewards/accuracies": (rewarded_P > 0).to(loss.dtype).sum() + (rewarded_P == 0).to(loss.dtype).sum() / 2,
    }


def _sides(pairs: Pairs, mean: bool) -> tuple[Tensor, Tensor]:
    if not mean:
        return pairs.chosen_P, pairs.rejected_P
    return pairs.chosen_P / pairs.chosen_tokens_P, pairs.rejected_P / pairs.rejected_tokens_P
