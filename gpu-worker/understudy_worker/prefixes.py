"""Sequences that begin alike, laid in one row as a tree: a beginning that several share is computed once.

Shape suffixes: H query heads, G key heads, L tokens of the row, E head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from understudy_worker.packed import attend_to


@dataclass(eq=False)
class Node:
    """Tokens that the same sequences go through; `start` tokens come before them, through `parent`."""

    ids: tuple[int, ...]
    parent: int | None
    start: int


@dataclass(frozen=True, eq=False)
class Tree:
    """Radix trees, one a group. Parents come before their children; `paths` has each sequence's nodes from the root,
    in the order in which the sequences were given."""

    nodes: tuple[Node, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, *groups: Sequence[Sequence[int]]) -> Tree:
        """Sequences of at least one token; equal ones share all their nodes. Only those of one group share anything."""
        nodes: list[Node] = []
        paths: list[tuple[int, ...]] = []
        for sequences in groups:
            growing = _Growing([tuple(sequence) for sequence in sequences], nodes)
            growing.add(0, len(sequences), path=(), depth=0)
            paths += [growing.paths[index] for index in range(len(sequences))]
        return cls(nodes=tuple(nodes), paths=tuple(paths))

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where in the row each node begins."""
        return tuple(accumulate((len(node.ids) for node in self.nodes), initial=0))[:-1]

    @cached_property
    def ids(self) -> list[int]:
        """The row."""
        return [token for node in self.nodes for token in node.ids]

    @cached_property
    def positions(self) -> list[int]:
        """Of each token of the row, its place in its sequences."""
        return [node.start + place for node in self.nodes for place in range(len(node.ids))]

    def places(self, sequence: int) -> list[int]:
        """Where in the row the tokens of a sequence lie, in its order."""
        return [
            self.offsets[number] + place
            for number in self.paths[sequence]
            for place in range(len(self.nodes[number].ids))
        ]


class _Growing:
    """Sorted, those that share a beginning stand side by side, and share least at some neighbours."""

    def __init__(self, sequences: Sequence[tuple[int, ...]], nodes: list[Node]) -> None:
        self.nodes = nodes
        self.paths: dict[int, tuple[int, ...]] = {}
        self._order = sorted(range(len(sequences)), key=lambda index: sequences[index])
        self._sorted = [sequences[index] for index in self._order]
        self._shared = [0, *(shared(a, b) for a, b in pairwise(self._sorted))]

    def add(self, first: int, end: int, *, path: tuple[int, ...], depth: int) -> None:
        """The sorted sequences from `first` to before `end`, which share `depth` tokens and the nodes of `path`."""
        if first == end:
            return
        ids = self._sorted[first]
        common = min([len(ids), *self._shared[first + 1 : end]])
        if common > depth:
            self.nodes.append(Node(ids=ids[depth:common], parent=path[-1] if path else None, start=depth))
            path = (*path, len(self.nodes) - 1)
        whole = first
        while whole < end and len(self._sorted[whole]) == common:  # the shortest come first
            self.paths[self._order[whole]] = path
            whole += 1
        starts = [index for index in range(whole, end) if index == whole or self._shared[index] == common]
        for start, stop in pairwise([*starts, end]):
            self.add(start, stop, path=path, depth=common)


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Tokens that both begin with."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@dataclass(frozen=True, eq=False)
class Branches:
    """The layout of a tree: each node sees its sequences' tokens before it, and itself causally. Keys and values of
    whole sequences go to `store`, if there is one."""

    tree: Tree
    device: torch.device
    store: Store | None = None

    @property
    def longest(self) -> int:
        return max(node.start + len(node.ids) for node in self.tree.nodes)

    def attend(self, module: nn.Module, query_1HLE: Tensor, key_1GLE: Tensor, value_1GLE: Tensor, **how: Any) -> Tensor:
        sizes = [len(node.ids) for node in self.tree.nodes]
        keys: list[Tensor] = []
        values: list[Tensor] = []
        outs: list[Tensor] = []
        rows = zip(*(tensor.split(sizes, dim=2) for tensor in (query_1HLE, key_1GLE, value_1GLE)), strict=True)
        for node, mask, (query, key, value) in zip(self.tree.nodes, self._masks, rows, strict=True):
            before = node.parent
            keys.append(key if before is None else torch.cat([keys[before], key], dim=2))
            values.append(value if before is None else torch.cat([values[before], value], dim=2))
            outs.append(attend_to(module, query, keys[-1], values[-1], mask, **how))
        if self.store is not None:
            ends = [path[-1] for path in self.tree.paths]
            self.store(module, [keys[end][0] for end in ends], [values[end][0] for end in ends])
        return torch.cat(outs, dim=1)

    @cached_property
    def _masks(self) -> list[Tensor | None]:
        """Of each node, what its tokens see of the tokens before them and of one another; None: all is its own."""
        return [
            None
            if node.start == 0
            else torch.ones(len(node.ids), node.start + len(node.ids), dtype=torch.bool, device=self.device).tril(
                diagonal=node.start
            )[None, None]
            for node in self.tree.nodes
        ]


class Store(Protocol):
    """Takes a layer's keys and values, each sequence's by itself (GLE), in the order of the tree's sequences."""

    def __call__(self, module: nn.Module, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None: ...
