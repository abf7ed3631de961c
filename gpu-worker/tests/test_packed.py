"""Sequences in one row: no padding is computed, and none sees another."""

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


@pytest.mark.parametrize("name", ["student", "gpt2"])
def test_packed_states_are_those_of_each_sequence_alone(name: str, room: Any) -> None:
    model: LoadedModel = room.models.load(ref(name), tick=lambda: None)
    batch = sequences(7, 31, 2, 64, 18)
    with torch.no_grad():
        packed_ND = response_states(model.model.base_model, batch)
    assert_close(packed_ND, *Oracle.of(model).states(batch), what="states")


def test_no_gradient_leaks_from_one_sequence_to_another(room: Any) -> None:
    model: LoadedModel = room.models.load(ref("student"), tick=lambda: None)
    first, second = sequences(12, 20)
    embedded: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        leaf = output.detach().requires_grad_()
        embedded.append(leaf)
        return leaf

    handle = model.model.get_input_embeddings().register_forward_hook(keep)
    try:
        states = response_states(model.model.base_model, [first, second])
        states[: len(first.response)].square().sum().backward()
    finally:
        handle.remove()
    by_token = embedded[0].grad
    assert by_token is not None
    assert by_token[0, : len(first) - 1].abs().sum() > 0
    assert by_token[0, len(first) :].abs().sum() == 0


def test_the_computed_tokens_are_the_real_ones(room: Any) -> None:
    model: LoadedModel = room.models.load(ref("student"), tick=lambda: None)
    batch = sequences(5, 40, 11)
    seen: list[int] = []
    handle = model.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: seen.append(output.shape[0] * output.shape[1])
    )
    try:
        response_states(model.model.base_model, batch)
    finally:
        handle.remove()
    assert seen == [5 + 40 + 11]


def test_a_short_sliding_window_is_refused() -> None:
    query = torch.zeros(1, 2, 8, 4)
    with pytest.raises(ValueError, match="sliding window of 3"):
        attention(torch.nn.Module(), query, query, query, None, layout=Segments((8,)), sliding_window=3)
