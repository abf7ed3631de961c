"""Sequences in one row: no padding is computed, none sees another, and what they begin with may be computed once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conftest import ref
from precision import Oracle, assert_close

from understudy_worker.forward import Tokens, response_states
from understudy_worker.models import LoadedModel
from understudy_worker.packed import Segments, attention


def sequences(*lengths: int) -> list[Tokens]:
    generator = torch.Generator().manual_seed(sum(lengths))
    return [
        Tokens(ids=tuple(torch.randint(2, 300, (length,), generator=generator).tolist()), prompt_length=length // 3 + 1)
        for length in lengths
    ]


def beginning_alike() -> list[Tokens]:
    """Three share ten tokens, two of them twelve, and one is there twice; the last shares none."""
    first, second, other = sequences(10, 20, 15)
    alike = [first.ids + second.ids[:2] + second.ids[2:9], first.ids + second.ids[:2] + second.ids[9:]]
    ids = [*alike, first.ids + other.ids, alike[0], other.ids]
    return [Tokens(ids=one, prompt_length=place) for one, place in zip(ids, (11, 12, 5, 3, 1), strict=True)]


@pytest.mark.parametrize("name", ["student", "gpt2"])
def test_states_of_shared_prefixes_are_those_of_each_sequence_alone(name: str, room: Any) -> None:
    model: LoadedModel = room.models.load(ref(name), tick=lambda: None)
    batch = beginning_alike()
    with torch.no_grad():
        shared_ND = response_states(model.model.base_model, batch, share_prefixes=True)
    assert_close(shared_ND, *Oracle.of(model).states(batch), what="states")


@pytest.mark.parametrize("name", ["student", "gpt2"])
def test_packed_states_are_those_of_each_sequence_alone(name: str, room: Any) -> None:
    model: LoadedModel = room.models.load(ref(name), tick=lambda: None)
    batch = sequences(7, 31, 2, 64, 18)
    with torch.no_grad():
        packed_ND = response_states(model.model.base_model, batch)
    assert_close(packed_ND, *Oracle.of(model).states(batch), what="states")


def place_in(row: list[int], tokens: Tokens) -> slice:
    start = next(start for start in range(len(row)) if tuple(row[start : start + len(tokens)]) == tokens.ids)
    return slice(start, start + len(tokens))


@pytest.mark.parametrize("share_prefixes", [False, True])
def test_no_gradient_leaks_from_one_sequence_to_another(room: Any, share_prefixes: bool) -> None:
    model: LoadedModel = room.models.load(ref("student"), tick=lambda: None)
    first, second = sequences(12, 20)
    embedded: list[torch.Tensor] = []
    row: list[int] = []

    def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        row.extend(inputs[0][0].tolist())
        leaf = output.detach().requires_grad_()
        embedded.append(leaf)
        return leaf

    handle = model.model.get_input_embeddings().register_forward_hook(keep)
    try:
        states = response_states(model.model.base_model, [first, second], share_prefixes=share_prefixes)
        states[: len(first.response)].square().sum().backward()
    finally:
        handle.remove()
    by_token = embedded[0].grad
    assert by_token is not None
    touched = {tokens: by_token[0, place_in(row, tokens)] for tokens in (first, second)}
    assert touched[first][:-1].abs().sum() > 0
    assert touched[second].abs().sum() == 0


@pytest.mark.parametrize(
    ("share_prefixes", "computed"), [(False, 19 + 23 + 25 + 19 + 15), (True, 12 + 7 + 11 + 15 + 15)]
)
def test_the_computed_tokens_are_the_real_ones(room: Any, share_prefixes: bool, computed: int) -> None:
    model: LoadedModel = room.models.load(ref("student"), tick=lambda: None)
    batch = beginning_alike()
    seen: list[int] = []
    handle = model.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: seen.append(output.shape[0] * output.shape[1])
    )
    try:
        response_states(model.model.base_model, batch, share_prefixes=share_prefixes)
    finally:
        handle.remove()
    assert seen == [computed]


def test_a_short_sliding_window_is_refused() -> None:
    query = torch.zeros(1, 2, 8, 4)
    with pytest.raises(ValueError, match="sliding window of 3"):
        attention(torch.nn.Module(), query, query, query, None, layout=Segments((8,)), sliding_window=3)
