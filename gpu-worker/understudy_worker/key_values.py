"""Keys and values of sequences that grow: one slot each, the running ones first, so that no step copies them.

Shape suffixes: S slots, H query heads, G key heads, C room for tokens, E head size, A running sequences, R query heads
of a key head, L tokens of the longest running sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

# Room is made for at least so many tokens more than are needed: growing copies everything.
SPARE_TOKENS = 64


class KeyValues:
    """Slots of every layer. `lengths` are the tokens in each running sequence, whose slots are the first ones."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def append(self, lengths: Sequence[int]) -> Iterator[_Appended]:
        """Sequences join behind the running ones; a layout's `store` fills their slots, layer by layer. What fails
        within leaves no trace."""
        first = len(self.lengths)
        self.lengths += lengths
        try:
            yield _Appended(self, first)
        except BaseException:
            del self.lengths[first:]
            raise

    def step(self, *, device: torch.device) -> Step:
        """Each running sequence gets one token more."""
        self.lengths = [length + 1 for length in self.lengths]
        return Step(self, device=device)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """Only these running sequences go on. Their order now: the last ones fill the gaps, so that few move."""
        staying = set(rows)
        last = [row for row in sorted(staying) if row >= len(rows)]
        order = [place if place in staying else last.pop() for place in range(len(rows))]
        for key_SGCE, value_SGCE in self._layers.values():
            for place, row in enumerate(order):
                if place != row:
                    seen = slice(self.lengths[row])
                    key_SGCE[place, :, seen] = key_SGCE[row, :, seen]
                    value_SGCE[place, :, seen] = value_SGCE[row, :, seen]
        self.lengths = [self.lengths[row] for row in order]
        return order

    def copy(self, row: int) -> None:
        """A running sequence goes on twice: its copy joins behind."""
        self.lengths.append(self.lengths[row])
        for layer in list(self._layers):
            key_SGCE, value_SGCE = self._room(layer)
            key_SGCE[len(self.lengths) - 1] = key_SGCE[row]
            value_SGCE[len(self.lengths) - 1] = value_SGCE[row]

    def fill(self, layer: int, slot: int, key_GLE: Tensor, value_GLE: Tensor) -> None:
        key_SGCE, value_SGCE = self._room(layer, like=(key_GLE, value_GLE))
        key_SGCE[slot, :, : key_GLE.shape[1]] = key_GLE
        value_SGCE[slot, :, : value_GLE.shape[1]] = value_GLE

    def layer(self, layer: int, key_AGE: Tensor, value_AGE: Tensor, places_A: Tensor) -> tuple[Tensor, Tensor]:
        """key_AGLE and value_AGLE of the running sequences, with each one's new token at its place."""
        key_SGCE, value_SGCE = self._room(layer)
        running, longest = len(self.lengths), max(self.lengths)
        rows_A = torch.arange(running, device=places_A.device)
        key_SGCE[rows_A, :, places_A] = key_AGE
        value_SGCE[rows_A, :, places_A] = value_AGE
        return key_SGCE[:running, :, :longest], value_SGCE[:running, :, :longest]

    def _room(self, layer: int, *, like: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The layer's slots, with room for every running sequence at its length. Keys and values are kept as they come:
        under autocast they differ in dtype."""
        slots, tokens = len(self.lengths), max(self.lengths)
        there = self._layers.get(layer)
        if there is not None and there[0].shape[0] >= slots and there[0].shape[2] >= tokens:
            return there
        samples = like if there is None else (there[0][0], there[1][0])
        assert samples is not None, "a layer's slots are first filled with whole sequences"
        key_SGCE, value_SGCE = (self._grown(sample_GLE, slots, tokens, there) for sample_GLE in samples)
        for new, before in zip((key_SGCE, value_SGCE), there or (), strict=False):
            new[: before.shape[0], :, : before.shape[2]] = before
        self._layers[layer] = key_SGCE, value_SGCE
        return key_SGCE, value_SGCE

    def _grown(self, like_GLE: Tensor, slots: int, tokens: int, there: tuple[Tensor, Tensor] | None) -> Tensor:
        """Zeros: what a mask hides is multiplied by 0, which would not hide a NaN."""
        old_slots, old_tokens = (0, 0) if there is None else (there[0].shape[0], there[0].shape[2])
        heads, _, size = like_GLE.shape
        return like_GLE.new_zeros(max(slots, old_slots), heads, max(tokens + SPARE_TOKENS, old_tokens), size)


class _Appended:
    """Where the sequences of one prefill are stored (prefixes.Store)."""

    def __init__(self, kept: KeyValues, first: int) -> None:
        self._kept = kept
        self._first = first

    def __call__(self, module: nn.Module, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        for number, (key_GLE, value_GLE) in enumerate(zip(keys, values, strict=True)):
            self._kept.fill(_index(module), self._first + number, key_GLE, value_GLE)


class Step:
    """The layout of a row with one new token of each running sequence, which sees all that came before it."""

    def __init__(self, kept: KeyValues, *, device: torch.device) -> None:
        self._kept = kept
        lengths_A = torch.tensor(kept.lengths, device=device)
        self._places_A = lengths_A - 1
        seen_AL = torch.arange(self.longest, device=device) < lengths_A[:, None]
        self._mask_A11L = seen_AL[:, None, None]

    @property
    def longest(self) -> int:
        return max(self._kept.lengths)

    def attend(self, module: nn.Module, query_1HLE: Tensor, key_1GLE: Tensor, value_1GLE: Tensor, **how: Any) -> Tensor:
        """out_1AHE. The query heads of a key head are queries of one attention: no key is repeated."""
        key_AGLE, value_AGLE = self._kept.layer(
            _index(module), key_1GLE[0].transpose(0, 1), value_1GLE[0].transpose(0, 1), self._places_A
        )
        running, groups, _, size = key_AGLE.shape
        query_AGRE = query_1HLE[0].transpose(0, 1).reshape(running, groups, -1, size)
        out_AGRE = scaled_dot_product_attention(
            query_AGRE, key_AGLE, value_AGLE, attn_mask=self._mask_A11L, scale=how.get("scaling")
        )
        return out_AGRE.reshape(1, running, -1, value_AGLE.shape[3])


def _index(module: nn.Module) -> int:
    index = module.layer_idx
    assert isinstance(index, int), "attention layers of transformers know their number"
    return index
