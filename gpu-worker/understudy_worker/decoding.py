"""Sequences that grow token by token: those that begin together share what they begin with, and any may join or leave
between two steps.

Shape suffixes: A running sequences, L tokens of a row, V vocabulary, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from understudy_worker.forward import states_of
from understudy_worker.key_values import KeyValues
from understudy_worker.models import LoadedModel
from understudy_worker.prefixes import Branches, Store, Tree

# Tokens of a row, what is shared counted once; a longer sequence goes alone.
ROW_TOKENS = 4096


class Decoder:
    """The sequences that one model continues, in the order in which they joined. What it computes is a function of
    what joins and leaves when: the same calls give the same bits."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._kept = KeyValues()

    def __len__(self) -> int:
        return len(self._kept.lengths)

    def begin(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """logits_AV that predict what follows each of these prompts, whose sequences join behind the others."""
        tree, states_LD = self.read(prompts, keep=True)
        ends = [tree.places(number)[-1] for number in range(len(prompts))]
        return self._loaded.head(states_LD[ends])

    def read(self, prompts: Sequence[Sequence[int]], *, keep: bool) -> tuple[Tree, Tensor]:
        """states_LD after the final norm of the prompts' tree; they join the running sequences if they are kept."""
        tree = Tree.of(prompts)
        if not keep:
            return tree, read(self._loaded, tree)
        with self._kept.append([len(prompt) for prompt in prompts]) as store:
            return tree, read(self._loaded, tree, store=store)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """logits_AV after one more token of each running sequence."""
        places = list(self._kept.lengths)
        layout = self._kept.step(device=self._loaded.model.device)
        return self._loaded.head(states_of(self._loaded.model.base_model, tokens, places, layout))

    def fork(self, row: int) -> None:
        """A running sequence goes on twice: its copy joins behind."""
        self._kept.copy(row)

    def keep(self, rows: Sequence[int]) -> list[int]:
        """All but these running sequences leave; the order of those that stay."""
        return self._kept.keep(rows)


def read(loaded: LoadedModel, tree: Tree, *, store: Store | None = None) -> Tensor:
    """states_LD after the final norm of a tree's row."""
    return states_of(
        loaded.model.base_model, tree.ids, tree.positions, Branches(tree, device=loaded.model.device, store=store)
    )
