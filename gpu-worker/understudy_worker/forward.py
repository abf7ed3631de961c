"""From token ids to logits at response positions, and there only: no [batch, sequence, vocabulary] tensor exists.

Shape suffixes: B sequences, T padded length, N response positions of a batch, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from understudy_worker.errors import WorkerError

# A model's own logits and ours may differ by rounding only (measured 1e-5 on logits of about 20).
PROBE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Tokens:
    """A prompt and its response: `ids[prompt_length:]` is what is scored or trained on."""

    ids: tuple[int, ...]
    prompt_length: int

    @property
    def response(self) -> tuple[int, ...]:
        return self.ids[self.prompt_length :]

    def __len__(self) -> int:
        return len(self.ids)


def pad_right(sequences: Sequence[Tokens], *, length: int, device: torch.device) -> Tensor:
    """ids_BT; padding is on the right, where causal attention never looks, so no mask is needed and 0 will do."""
    rows = [list(tokens.ids) + [0] * (length - len(tokens)) for tokens in sequences]
    return torch.tensor(rows, dtype=torch.long, device=device)


def response_states(model: PreTrainedModel, sequences: Sequence[Tokens], *, length: int) -> Tensor:
    """states_ND: the state after the final norm that predicts each response token, sequence after sequence."""
    ids_BT = pad_right(sequences, length=length, device=model.device)
    states_BTD = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
    rows = [row for row, tokens in enumerate(sequences) for _ in tokens.response]
    columns = [position for tokens in sequences for position in range(tokens.prompt_length - 1, len(tokens.ids) - 1)]
    index = torch.tensor([rows, columns], dtype=torch.long, device=model.device)
    result: Tensor = states_BTD[index[0], index[1]]
    return result


def response_targets(sequences: Sequence[Tokens], *, device: torch.device) -> Tensor:
    """targets_N: the response tokens in the order of `response_states`."""
    return torch.tensor([token for tokens in sequences for token in tokens.response], dtype=torch.long, device=device)


def chunks(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


class Head:
    """The model's map from states to logits, with its own output transform (soft cap or scale)."""

    def __init__(self, model: PreTrainedModel) -> None:
        linear = model.get_output_embeddings()
        if not isinstance(linear, nn.Module):
            raise _unsupported(model, "it has no output embeddings")
        self._linear = linear
        self._transform = _output_transform(model.config)
        self._verify(model)

    def __call__(self, states_ND: Tensor) -> Tensor:
        """logits_NV in fp32 (fp64 stays fp64)."""
        logits_NV: Tensor = self._transform(self._linear(states_ND))
        return logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float()

    @torch.inference_mode()
    def _verify(self, model: PreTrainedModel) -> None:
        """Refuse a model whose own forward does more to the logits than is known here."""
        ids_BT = (torch.arange(6, device=model.device) % model.config.vocab_size)[None]
        states_BTD = model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state
        own_BTV = model(input_ids=ids_BT, use_cache=False).logits.float()
        difference = float((self(states_BTD[0]) - own_BTV[0]).abs().max())
        scale = max(1.0, float(own_BTV.abs().max()))
        if not difference <= PROBE_TOLERANCE * scale:
            raise _unsupported(model, f"its logits differ by {difference:.3g} from final state times output matrix")


def _output_transform(config: Any) -> Callable[[Tensor], Tensor]:
    if cap := getattr(config, "final_logit_softcapping", None):
        return lambda logits: torch.tanh(logits / cap) * cap
    if scale := getattr(config, "logit_scale", None):
        return lambda logits: logits * scale
    if divisor := getattr(config, "logits_scaling", None):
        return lambda logits: logits / divisor
    return lambda logits: logits


def _unsupported(model: PreTrainedModel, why: str) -> WorkerError:
    return WorkerError("unsupported_architecture", f"{type(model).__name__} is not supported: {why}")
