"""Attention over sequences laid end to end in one row: each sees what its layout says, and nothing is computed for
padding.

Shape suffixes: H query heads, G key heads, L tokens of the row, E head size, n tokens of one sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from understudy_worker.pulse import computed_with_gradient

_sdpa: Any = sdpa_attention_forward
# Name under which transformers finds it; models are loaded with it, for everything they do here.
ATTENTION = "understudy"
# transformers hands a 4-D mask on as it is: so none is built over all L x L pairs. Ours reads the layout instead; a
# model whose attention is another's would read this, and say so by NaN everywhere.
NO_MASK = torch.full((1, 1, 1, 1), torch.nan)


class Layout(Protocol):
    """Which tokens of a row see which."""

    @property
    def longest(self) -> int:
        """Tokens of its longest sequence."""
        ...

    def attend(self, module: nn.Module, query_1HLE: Tensor, key_1GLE: Tensor, value_1GLE: Tensor, **how: Any) -> Tensor:
        """out_1LHE of one layer."""
        ...


@dataclass(frozen=True)
class Segments:
    """Sequences of these lengths, each causal by itself."""

    lengths: tuple[int, ...]

    @property
    def longest(self) -> int:
        return max(self.lengths)

    def attend(self, module: nn.Module, query_1HLE: Tensor, key_1GLE: Tensor, value_1GLE: Tensor, **how: Any) -> Tensor:
        """By the same kernel that a sequence alone would get."""
        parts = zip(*(tensor.split(self.lengths, dim=2) for tensor in (query_1HLE, key_1GLE, value_1GLE)), strict=True)
        outs = [attend_to(module, query, key, value, None, **how) for query, key, value in parts]
        return torch.cat(outs, dim=1)


def attend_to(
    module: nn.Module, query_1HnE: Tensor, key_1GLE: Tensor, value_1GLE: Tensor, mask: Tensor | None, **how: Any
) -> Tensor:
    """out_1nHE; causal where there is no mask, which is True at what is seen."""
    out: Tensor = _sdpa(module, query_1HnE, key_1GLE, value_1GLE, mask, **how)[0]
    return out


def attention(
    module: nn.Module,
    query_1HLE: Tensor,
    key_1GLE: Tensor,
    value_1GLE: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout | None = None,
    **how: Any,
) -> tuple[Tensor, None]:
    """out_1LHE; `layout` is of a row, None for an ordinary padded batch with its mask.

    Raises ValueError for a sliding window shorter than a sequence: the layouts have none.
    """
    if layout is None:
        out: Tensor = _sdpa(module, query_1HLE, key_1GLE, value_1GLE, attention_mask, **how)[0]
        return computed_with_gradient(out), None
    window = how.get("sliding_window")
    if window is not None and window < layout.longest:
        raise ValueError(f"a sliding window of {window} tokens is not supported for sequences of {layout.longest}")
    return computed_with_gradient(layout.attend(module, query_1HLE, key_1GLE, value_1GLE, **how)), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
