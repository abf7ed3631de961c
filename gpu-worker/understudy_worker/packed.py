"""Attention over sequences laid end to end in one row: each sees itself alone, and nothing is computed for padding.

Shape suffixes: H query heads, G key heads, L tokens of all sequences, E head size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_sdpa: Any = sdpa_attention_forward
# Name under which transformers finds it; models are loaded with it, for everything they do here.
ATTENTION = "understudy"
# transformers hands a 4-D mask on as it is: so none is built over all L x L pairs.
NO_MASK = torch.empty(1, 1, 1, 1)


def attention(
    module: nn.Module,
    query_1HLE: Tensor,
    key_1GLE: Tensor,
    value_1GLE: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: tuple[int, ...] | None = None,
    **how: Any,
) -> tuple[Tensor, None]:
    """out_1LHE; `segments` are the lengths of the sequences, None for an ordinary padded batch with its mask.

    Causal within each sequence, by the same kernel that a sequence alone would get. Raises ValueError for a sliding
    window shorter than a sequence: the kernel has none.
    """
    if segments is None:
        result: tuple[Tensor, None] = _sdpa(module, query_1HLE, key_1GLE, value_1GLE, attention_mask, **how)
        return result
    window = how.get("sliding_window")
    if window is not None and window < max(segments):
        raise ValueError(f"a sliding window of {window} tokens is not supported for sequences of {max(segments)}")
    parts = zip(*(tensor.split(segments, dim=2) for tensor in (query_1HLE, key_1GLE, value_1GLE)), strict=True)
    outs = [_sdpa(module, query, key, value, None, **how)[0] for query, key, value in parts]
    return torch.cat(outs, dim=1), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
