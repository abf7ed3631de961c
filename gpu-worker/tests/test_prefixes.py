"""Sequences as a tree: each can be read off it, and what is shared is there once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy_worker.prefixes import Tree

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def prefixes(sequences: list[list[int]]) -> set[tuple[int, ...]]:
    return {tuple(ids[:size]) for ids in sequences for size in range(1, len(ids) + 1)}


@given(st.lists(TOKENS, min_size=1, max_size=20))
def test_every_beginning_is_there_once(sequences: list[list[int]]) -> None:
    tree = Tree.of(sequences)
    assert len(tree.ids) == len(prefixes(sequences))
    for number, ids in enumerate(sequences):
        places = tree.places(number)
        assert [tree.ids[place] for place in places] == ids
        assert [tree.positions[place] for place in places] == list(range(len(ids)))


@given(st.lists(TOKENS, min_size=1, max_size=20))
def test_parents_come_first_and_end_where_their_children_begin(sequences: list[list[int]]) -> None:
    tree = Tree.of(sequences)
    for number, node in enumerate(tree.nodes):
        assert node.ids
        if node.parent is None:
            assert node.start == 0
        else:
            parent = tree.nodes[node.parent]
            assert node.parent < number and node.start == parent.start + len(parent.ids)
    for path in tree.paths:
        assert all(tree.nodes[after].parent == before for before, after in pairwise(path))


@pytest.mark.parametrize(
    ("sequences", "nodes"),
    [
        ([[1, 2, 3]], [(1, 2, 3)]),
        ([[1, 2], [1, 2]], [(1, 2)]),
        ([[1, 2, 3], [1, 2]], [(1, 2), (3,)]),
        ([[5], [1, 2, 3], [1, 2, 4]], [(1, 2), (3,), (4,), (5,)]),
        # The second and the third share less than the first two do.
        ([[1, 2, 3, 9], [1, 2, 3, 8], [1, 7]], [(1,), (2, 3), (8,), (9,), (7,)]),
    ],
)
def test_nodes_by_hand(sequences: list[list[int]], nodes: list[tuple[int, ...]]) -> None:
    assert [node.ids for node in Tree.of(sequences).nodes] == nodes
