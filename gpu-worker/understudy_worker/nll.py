"""Negative log-probabilities of given tokens, with a backward that holds one matrix of logits' size and no more.

Shape suffixes: N positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _TokenNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:
        logsumexp_N = logits_NV.logsumexp(dim=1)
        ctx.save_for_backward(logits_NV, targets_N, logsumexp_N)
        return logsumexp_N - logits_NV.gather(1, targets_N[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, gradient_N: Tensor) -> tuple[Tensor, None]:
        """d/dz = softmax(z) - onehot(target), computed in place."""
        logits_NV, targets_N, logsumexp_N = ctx.saved_tensors
        result_NV = (logits_NV - logsumexp_N[:, None]).exp_().mul_(gradient_N[:, None])
        return result_NV.scatter_add_(1, targets_N[:, None], -gradient_N[:, None]), None


def token_nll(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """nll_N = `log sum_v exp(z_v) - z_target` in nats; dtype of the logits."""
    result: Tensor = _TokenNll.apply(logits_NV, targets_N)  # type: ignore[no-untyped-call]
    return result
