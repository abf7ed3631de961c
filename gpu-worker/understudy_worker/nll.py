"""Negative log-probabilities of given tokens. Their gradient is taken with their value, a block of positions at a time
that stays in a CPU's cache, so that the logits are read from memory once and one matrix of their size is written.

Shape suffixes: N positions, V vocabulary, B positions of one block.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from understudy_worker.blocks import blocks


class _TokenNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:
        nll_N = logits_NV.new_empty(len(targets_N))
        gradient_NV = torch.empty_like(logits_NV)
        for block in blocks(logits_NV):
            _softmax_less_target(logits_NV[block], targets_N[block], out_BV=gradient_NV[block], nll_B=nll_N[block])
        ctx.save_for_backward(gradient_NV)
        return nll_N

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, scale_N: Tensor) -> tuple[Tensor, None]:
        (gradient_NV,) = ctx.saved_tensors
        return gradient_NV * scale_N[:, None], None


def _softmax_less_target(logits_BV: Tensor, targets_B: Tensor, *, out_BV: Tensor, nll_B: Tensor) -> None:
    """`softmax(z) - onehot(target)`, the gradient by z, and the value `log sum_v exp(z_v) - z_target`."""
    largest_B1 = logits_BV.amax(dim=1, keepdim=True)
    torch.sub(logits_BV, largest_B1, out=out_BV).exp_()
    sum_B1 = out_BV.sum(dim=1, keepdim=True)
    out_BV.div_(sum_B1)
    targets_B1 = targets_B[:, None]
    out_BV.scatter_add_(1, targets_B1, -torch.ones_like(sum_B1))
    nll_B.copy_((largest_B1 + sum_B1.log() - logits_BV.gather(1, targets_B1))[:, 0])


def token_nll(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """nll_N = `log sum_v exp(z_v) - z_target` in nats; dtype of the logits."""
    if not (torch.is_grad_enabled() and logits_NV.requires_grad):
        return logits_NV.logsumexp(dim=1) - logits_NV.gather(1, targets_N[:, None])[:, 0]
    result: Tensor = _TokenNll.apply(logits_NV, targets_N)  # type: ignore[no-untyped-call]
    return result
