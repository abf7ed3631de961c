"""Log-probabilities of tokens and of the likeliest ones beside them, in nats and fp32.

Shape suffixes: L states, N distinct states of a chunk, V vocabulary, K likeliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Head, chunks, enough_rows
from understudy_worker.objectives.terms import first_choice

# States whose logits exist at one time: 256 x 50,000 x 4 bytes = 50 MB.
HEAD_CHUNK = 256


@dataclass(frozen=True)
class TokenLogprob:
    """`likeliest` are ids with their log-probabilities, best first."""

    token: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...]

    def of(self, count: int) -> TokenLogprob:
        """With so many of the likeliest only."""
        return TokenLogprob(self.token, self.logprob, self.likeliest[:count])


@dataclass(frozen=True)
class Asked:
    """The state in row `row` predicts `token`."""

    row: int
    token: int


def token_logprobs(head: Head, states_LD: Tensor, asked: Sequence[Asked], *, likeliest: int) -> list[TokenLogprob]:
    """In the order asked. Logits are computed once for each state, however many tokens are asked of it."""
    places: dict[int, list[int]] = {}
    for place, one in enumerate(asked):
        places.setdefault(one.row, []).append(place)
    rows = list(places)
    found: dict[int, TokenLogprob] = {}
    for chunk in chunks(0, len(rows), HEAD_CHUNK):
        logits_NV = head(enough_rows(states_LD[rows[chunk]]))
        which = [(number, place) for number, row in enumerate(rows[chunk]) for place in places[row]]
        tokens = [asked[place].token for _, place in which]
        described = describe(logits_NV, [number for number, _ in which], tokens, likeliest=likeliest)
        found |= {place: one for (_, place), one in zip(which, described, strict=True)}
    return [found[place] for place in range(len(asked))]


def describe(logits_NV: Tensor, rows: Sequence[int], tokens: Sequence[int], *, likeliest: int) -> list[TokenLogprob]:
    """Token i as row `rows[i]` predicts it. All from one log-softmax: so a token that is the likeliest has its very
    number, and a sequence read alone the very numbers of transformers' own forward."""
    table_NV = logits_NV.log_softmax(dim=1)
    best: list[tuple[tuple[int, float], ...]] = [()] * len(logits_NV)
    if likeliest > 0:
        ids_NK = _likeliest(logits_NV, likeliest)
        values_NK = table_NV.gather(1, ids_NK)
        best = [tuple(zip(*pair, strict=True)) for pair in zip(ids_NK.tolist(), values_NK.tolist(), strict=True)]
    rows_N = torch.tensor(rows, device=logits_NV.device)
    tokens_N = torch.tensor(tokens, device=logits_NV.device)
    values = table_NV[rows_N, tokens_N].tolist()
    if not all(value > float("-inf") for value in values):  # NaN compares false too
        raise WorkerError(
            "nonfinite_logprob", "the model gives a token probability zero or NaN; its weights are broken"
        )
    return [
        TokenLogprob(token=token, logprob=value, likeliest=best[row])
        for row, token, value in zip(rows, tokens, values, strict=True)
    ]


def _likeliest(logits_NV: Tensor, count: int) -> Tensor:
    """ids_NK, best first, ties by the lowest id."""
    if count == 1:
        return first_choice(logits_NV)[:, None]  # on a CPU a tenth of topk's time
    values_NK, ids_NK = logits_NV.topk(min(count, logits_NV.shape[1]), dim=1)
    by_id = ids_NK.argsort(dim=1, stable=True)
    values_NK, ids_NK = values_NK.gather(1, by_id), ids_NK.gather(1, by_id)
    return ids_NK.gather(1, values_NK.argsort(dim=1, descending=True, stable=True))
