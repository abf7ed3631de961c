"""From states to a step's loss: the output matrix is applied to a chunk of positions at a time, and each chunk's
gradients are taken before the next, so that logits exist for `head_chunk` positions only.

A loss over whole responses needs all their log-probabilities before it has a gradient for any: they are computed once
without gradients, and the second pass recomputes each chunk with the weight that the loss gives to its positions.

Shape suffixes: N response positions of a micro-batch, D hidden size, V vocabulary, S sequences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from understudy_worker.forward import Head, chunks, response_targets
from understudy_worker.layout import Part, alike
from understudy_worker.nll import token_nll
from understudy_worker.objectives import REGISTRY
from understudy_worker.objectives.diagnostics import divergences
from understudy_worker.objectives.terms import Pairs, TeacherRows, Terms
from understudy_worker.stopwatch import Stopwatch
from understudy_worker.teacher import TeacherChunk
from understudy_worker.wire import Objective

# Sums over positions, pairs or responses, by the name of the metric.
Sums = defaultdict[str, float]


@dataclass(frozen=True)
class Weights:
    """What one unit of each sum adds to the step's loss: its coefficient over its global count."""

    lm: float
    plain_text: float
    distill: float


@dataclass(frozen=True)
class Micro:
    """A micro-batch beside its sequences: the teacher at the positions of those that the distillation term reads, which
    come first, and the reward of each sampled response."""

    parts: Sequence[Part]
    teacher: TeacherChunk | None
    rewards_S: Tensor | None


@dataclass(frozen=True)
class Signals:
    """What the first pass found, for each position of the distillation term: the loss's derivative by its
    log-probability (pairs), or its advantage (sampled responses)."""

    slopes_N: Tensor | None = None
    advantages_N: Tensor | None = None


class Loss:
    """The terms of one run's step, for any of its micro-batches."""

    def __init__(self, objective: Objective, *, head: Head, head_chunk: int, diagnose: bool, watch: Stopwatch) -> None:
        self._objective = objective
        self._module = REGISTRY[objective.type]
        self._head = head
        self._head_chunk = head_chunk
        self._diagnose = diagnose
        self._watch = watch

    def __call__(self, states_ND: Tensor, micro: Micro, *, weights: Weights) -> tuple[Tensor, Sums]:
        """The micro-batch's share of the loss (a scalar with a gradient), and the sums of loss terms and metrics."""
        sums: Sums = defaultdict(float)
        targets_N = response_targets([part.tokens for part in micro.parts], device=states_ND.device)
        with self._watch("forward"):
            signals = self._signals(states_ND.detach(), targets_N, micro, sums)
        of = _Pass(self, micro, weights, targets_N, signals, sums)
        loss: Tensor = _Chunked.apply(  # type: ignore[no-untyped-call]
            states_ND, self._head.linear.weight, getattr(self._head.linear, "bias", None), of
        )
        return loss, sums

    def chunk(self, kind: Part, chunk: slice, logits_NV: Tensor, of: _Pass) -> Tensor:
        """The weighted terms of one chunk of positions of one kind."""
        rows = None if of.micro.teacher is None or kind.distill is None else of.micro.teacher[chunk]
        if self._diagnose and rows is not None:
            _add(of.sums, divergences(logits_NV.detach(), rows.logits()))
        loss = self._cross_entropy(kind, chunk, logits_NV, of)
        if kind.distill in ("token", "policy"):
            term, metrics = self._distill(kind, chunk, logits_NV, rows, of)
            _add(of.sums, metrics)
            loss = loss + term * of.weights.distill
        return loss

    def _cross_entropy(self, kind: Part, chunk: slice, logits_NV: Tensor, of: _Pass) -> Tensor:
        """Everything that is a weighted sum of log-probabilities: cross entropies, and losses over whole responses."""
        weight = {"lm": of.weights.lm, "plain_text": of.weights.plain_text, None: 0.0}[kind.ce]
        weights_N = torch.full_like(of.targets_N[chunk], weight, dtype=logits_NV.dtype)
        if of.signals.slopes_N is not None and kind.distill is not None:
            weights_N = weights_N - of.signals.slopes_N[chunk] * of.weights.distill
        elif kind.ce is None:
            return logits_NV.new_zeros(())
        nll_N = token_nll(logits_NV, of.targets_N[chunk])
        if kind.ce is not None:
            _add(of.sums, {f"loss/{kind.ce}": nll_N.detach().sum()})
        return (nll_N * weights_N).sum()

    def _distill(self, kind: Part, chunk: slice, logits_NV: Tensor, rows: TeacherRows | None, of: _Pass) -> Terms:
        targets_N = of.targets_N[chunk]
        terms: Terms
        if kind.distill == "token":
            terms = self._module.token_terms(logits_NV, rows, targets_N, spec=self._objective)
            return terms
        assert of.signals.advantages_N is not None and rows is not None
        advantages_N = of.signals.advantages_N[chunk]
        terms = self._module.policy_terms(logits_NV, rows, targets_N, advantages_N, spec=self._objective)
        return terms

    @torch.no_grad()
    def _signals(self, states_ND: Tensor, targets_N: Tensor, micro: Micro, sums: Sums) -> Signals:
        """The first pass, where the loss needs one."""
        read = [part for part in micro.parts if part.distill in ("chosen", "rejected", "policy")]
        if not read:
            return Signals()
        lengths = [len(part.tokens.response) for part in read]
        count = sum(lengths)
        logprobs_N = torch.cat(
            [-token_nll(self._head(states_ND[chunk]), targets_N[chunk]) for chunk in chunks(0, count, self._head_chunk)]
        )
        teacher_N = None if micro.teacher is None else teacher_logprobs(micro.teacher[:count], targets_N[:count])
        if read[0].distill == "policy":
            assert teacher_N is not None
            advantages_N = self._module.advantages(
                logprobs_N, teacher_N, lengths=lengths, rewards_S=micro.rewards_S, spec=self._objective
            )
            if micro.rewards_S is not None:
                _add(sums, {"reward/mean": micro.rewards_S.sum()})
            return Signals(advantages_N=advantages_N)
        return Signals(slopes_N=self._slopes(read, logprobs_N, teacher_N, sums))

    def _slopes(self, read: Sequence[Part], logprobs_N: Tensor, teacher_N: Tensor | None, sums: Sums) -> Tensor:
        """d loss / d log q of each position: the same for all positions of a response."""
        lengths = [len(part.tokens.response) for part in read]
        sizes_S = torch.tensor(lengths, device=logprobs_N.device)
        sides = [[index for index, part in enumerate(read) if part.distill == side] for side in ("chosen", "rejected")]
        rows = [[read[index].row for index in side] for side in sides]
        assert rows[0] == rows[1], "a pair is never split between micro-batches"

        def pairs(values_N: Tensor) -> Pairs:
            sums_S = torch.stack([part.sum() for part in values_N.split(lengths)])
            return Pairs(*(sums_S[side] for side in sides), *(sizes_S[side] for side in sides))

        policy = pairs(logprobs_N)
        leaves = [policy.chosen_P.requires_grad_(), policy.rejected_P.requires_grad_()]
        with torch.enable_grad():
            reference = None if teacher_N is None else pairs(teacher_N)
            loss, metrics = self._module.sequence_terms(policy, reference, spec=self._objective)
            slopes = torch.autograd.grad(loss, leaves)
        _add(sums, metrics)
        slopes_S = torch.zeros(len(read), dtype=logprobs_N.dtype, device=logprobs_N.device)
        for side, slope_P in zip(sides, slopes, strict=True):
            slopes_S[side] = slope_P
        return slopes_S.repeat_interleave(sizes_S)


@dataclass(frozen=True)
class _Pass:
    """The second pass over one micro-batch."""

    loss: Loss
    micro: Micro
    weights: Weights
    targets_N: Tensor
    signals: Signals
    sums: Sums


class _Chunked(torch.autograd.Function):
    """The loss as a function of states and output matrix, whose gradients are taken chunk by chunk in the forward pass:
    the backward pass only scales them."""

    @staticmethod
    def forward(ctx: Any, states_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, of: _Pass) -> Tensor:
        watch, head = of.loss._watch, of.loss._head
        total = states_ND.new_zeros((), dtype=torch.float32)
        by_states_ND = torch.zeros_like(states_ND)
        by_weight_VD: Tensor | None = None
        by_bias_V = torch.zeros_like(bias_V) if bias_V is not None and ctx.needs_input_grad[2] else None
        for kind, positions in alike(of.micro.parts):
            for chunk in chunks(positions.start, positions.stop, of.loss._head_chunk):
                with watch("forward"):
                    product_NV = head.linear(states_ND[chunk]).requires_grad_()
                    with torch.enable_grad():
                        loss = of.loss.chunk(kind, chunk, head.of_product(product_NV), of)
                # whatever the forward pass is computed in: autocast would round what is added up
                with watch("backward"), torch.autocast(states_ND.device.type, enabled=False):
                    (gradient_NV,) = torch.autograd.grad(loss, product_NV)
                    total += loss.detach()
                    by_states_ND[chunk] = gradient_NV @ weight_VD.to(gradient_NV.dtype)
                    if ctx.needs_input_grad[1]:
                        by_weight_VD = _add_product(by_weight_VD, gradient_NV, states_ND[chunk], dtype=weight_VD.dtype)
                    if by_bias_V is not None:
                        by_bias_V += gradient_NV.sum(dim=0)
                del product_NV, gradient_NV, loss
        ctx.gradients = by_states_ND, by_weight_VD, by_bias_V
        return total

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        assert scale.item() == 1, "the loss is the end of the graph"
        return *ctx.gradients, None


def _add_product(total_VD: Tensor | None, gradient_NV: Tensor, states_ND: Tensor, *, dtype: torch.dtype) -> Tensor:
    """`total + gradient^T states`, in place: a chunk needs no second matrix of the output matrix's size. Each
    product in the gradient's precision, their sum in `dtype`."""
    left_VN, right_ND = gradient_NV.t(), states_ND.to(gradient_NV.dtype)
    if total_VD is None:
        return (left_VN @ right_ND).to(dtype)
    if gradient_NV.dtype == dtype:
        return total_VD.addmm_(left_VN, right_ND)
    return total_VD.add_(left_VN @ right_ND)


def teacher_logprobs(teacher: TeacherRows, targets_N: Tensor) -> Tensor:
    """log p of each target, in nats."""
    return teacher.logits_at(targets_N[:, None])[:, 0] - teacher.logsumexp_N


def _add(sums: Sums, metrics: dict[str, Tensor]) -> None:
    for name, value in metrics.items():
        sums[name] += float(value)
