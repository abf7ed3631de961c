"""From token ids to logits at response positions, and there only: no [batch, sequence, vocabulary] tensor exists.

Shape suffixes: L tokens of all sequences, N response positions of them, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import PreTrainedModel

from understudy_worker import packed
from understudy_worker.errors import WorkerError
from understudy_worker.prefixes import Branches, Tree
from understudy_worker.pulse import computed

# A model's own logits and ours may differ by rounding only (measured 1e-5 on logits of about 20).
PROBE_TOLERANCE = 1e-3
# Products of fewer rows take another kernel on CPUs, whose logits differ by 4e-5 (measured: below 16 rows; from 16 to
# 1,100 rows each row's bits are the same).
LEAST_ROWS = 16
# Tokens of each of the two sequences that a model is tried with.
PROBE_LENGTH = 6


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


def states_of(body: nn.Module, ids: Sequence[int], positions: Sequence[int], layout: packed.Layout) -> Tensor:
    """states_LD after the final norm of a row; `body` maps token ids to states (`model.base_model`)."""
    device = next(body.parameters()).device
    states_LD: Tensor = body(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        attention_mask=packed.NO_MASK.to(device),
        use_cache=False,
        layout=layout,
    ).last_hidden_state[0]
    return states_LD


def response_states(body: nn.Module, sequences: Sequence[Tokens], *, share_prefixes: bool = False) -> Tensor:
    """states_ND: the state after the final norm that predicts each response token, sequence after sequence.

    The sequences lie in one row, so that no padding is computed, and none sees another. They are laid end to end
    (`packed.Segments`), or as a tree in which what several begin with is computed once (`prefixes.Branches`).
    """
    device = next(body.parameters()).device
    if share_prefixes:
        tree = Tree.of([tokens.ids for tokens in sequences])
        states_LD = states_of(body, tree.ids, tree.positions, Branches(tree, device=device))
        rows = [tree.places(number) for number in range(len(sequences))]
    else:
        ids = [token for tokens in sequences for token in tokens.ids]
        positions = [place for tokens in sequences for place in range(len(tokens))]
        states_LD = states_of(body, ids, positions, packed.Segments(tuple(map(len, sequences))))
        starts = accumulate((len(tokens) for tokens in sequences), initial=0)
        rows = [list(range(start, start + len(tokens))) for start, tokens in zip(starts, sequences, strict=False)]
    predicting = [
        place
        for row, tokens in zip(rows, sequences, strict=True)
        for place in row[tokens.prompt_length - 1 : len(tokens) - 1]
    ]
    return states_LD.index_select(0, torch.tensor(predicting, dtype=torch.long, device=device))


def response_targets(sequences: Sequence[Tokens], *, device: torch.device) -> Tensor:
    """targets_N: the response tokens in the order of `response_states`."""
    return torch.tensor([token for tokens in sequences for token in tokens.response], dtype=torch.long, device=device)


def chunks(start: int, stop: int, size: int) -> Iterator[slice]:
    for first in range(start, stop, size):
        yield slice(first, min(first + size, stop))


class Head:
    """The model's map from states to logits, with its own output transform (soft cap or scale)."""

    def __init__(self, linear: nn.Module, config: Any) -> None:
        self.linear = linear
        self.transform = _output_transform(config)

    @classmethod
    def of(cls, model: PreTrainedModel) -> Head:
        """The head of a loaded model, tried against the model's own forward."""
        linear = model.get_output_embeddings()
        if not isinstance(linear, nn.Module):
            raise _unsupported(model, "it has no output embeddings")
        head = cls(linear, model.config)
        head._verify(model)
        return head

    def __call__(self, states_ND: Tensor) -> Tensor:
        """logits_NV in fp32 (fp64 stays fp64)."""
        computed()
        return self.of_product(self.linear(states_ND))

    def of_product(self, product_NV: Tensor) -> Tensor:
        """logits_NV from what the output matrix gave."""
        logits_NV: Tensor = self.transform(product_NV)
        return logits_NV if logits_NV.dtype == torch.float64 else logits_NV.float()

    @torch.inference_mode()
    def _verify(self, model: PreTrainedModel) -> None:
        """Refuse a model that does more to its logits than is known here, or lets one packed sequence see another."""
        ids = [token % model.config.vocab_size for token in range(PROBE_LENGTH)]
        first, second = Tokens(tuple(ids), 1), Tokens(tuple(reversed(ids)), 1)
        packed_NV = self(response_states(model.base_model, [first, second]))
        own_NV = torch.cat([self._own_logits(model, tokens) for tokens in (first, second)])
        difference = float((packed_NV - own_NV).abs().max())
        scale = max(1.0, float(own_NV.abs().max()))
        if not difference <= PROBE_TOLERANCE * scale:
            raise _unsupported(model, f"its own logits differ by {difference:.3g} from those computed here")

    def _own_logits(self, model: PreTrainedModel, tokens: Tokens) -> Tensor:
        ids_1L = torch.tensor([tokens.ids], device=model.device)
        logits: Tensor = model(input_ids=ids_1L, use_cache=False).logits
        return logits[0, :-1].float()


def enough_rows(states_ND: Tensor) -> Tensor:
    """The same rows, with zero rows below them up to LEAST_ROWS."""
    return pad(states_ND, (0, 0, 0, max(0, LEAST_ROWS - len(states_ND))))


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
