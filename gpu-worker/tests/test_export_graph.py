"""The graph of an export against transformers' own forward, in onnxruntime, from the files as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from understudy_worker.edge.difference import Artifact
from understudy_worker.edge.files import write_graph
from understudy_worker.edge.layers import Weights, plain_weights
from understudy_worker.edge.student import architecture_of, build
from understudy_worker.edge.vocabulary import LIKELIEST
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens

VOCABULARY = 20_000  # two chunks, the second one smaller


def llama(**changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(5)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
    model = LlamaForCausalLM(LlamaConfig(**{"vocab_size": VOCABULARY, **sizes, **heads, **changes}))
    return sharpened(model)


def gpt2(**changes: Any) -> GPT2LMHeadModel:
    torch.manual_seed(6)
    sizes = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128}
    return sharpened(GPT2LMHeadModel(GPT2Config(**{"vocab_size": VOCABULARY, **sizes, **changes})))


def sharpened(model: Any) -> Any:
    """With opinions, and biases and norms that are not what they began as."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


MODELS = {
    "llama": lambda: llama(tie_word_embeddings=True),
    "llama, untied": lambda: llama(tie_word_embeddings=False),
    "llama, scaled angles": lambda: llama(
        rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}, tie_word_embeddings=True
    ),
    "gpt2": gpt2,
    "gpt2, untied": lambda: gpt2(tie_word_embeddings=False),
}


@pytest.fixture(params=MODELS, ids=list(MODELS))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    made: PreTrainedModel = MODELS[request.param]()
    return made


def artifact(model: PreTrainedModel, folder: Path, weights: Weights | None = None) -> Artifact:
    weights = weights or plain_weights(model, architecture_of(model).JOINTS)
    write_graph(build(model, weights), folder, tick=lambda: None)
    return Artifact(folder)


def table(model: PreTrainedModel, ids: list[int]) -> np.ndarray[Any, Any]:
    """log-probabilities [length, vocabulary] by transformers."""
    with torch.no_grad():
        found: np.ndarray[Any, Any] = torch.log_softmax(model(torch.tensor([ids])).logits[0], dim=-1).numpy()
    return found


def random_ids(count: int, seed: int = 0) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, VOCABULARY, count)]


def feeds(
    rows: list[list[int]], *, past: list[int] | None = None, wanted: list[tuple[int, int, int]]
) -> dict[str, Any]:
    """Rows of ids, padded; `wanted` are (row, place, target)."""
    past = past or [0] * len(rows)
    length = max(map(len, rows))
    ids = np.array([row + [0] * (length - len(row)) for row in rows], np.int64)
    return {
        "input_ids": ids,
        "position_ids": np.array(past)[:, None] + np.arange(length)[None],
        "seqlens_k": np.array([before + len(row) - 1 for before, row in zip(past, rows, strict=True)], np.int32),
        "total_length": np.array([max(before + len(row) for before, row in zip(past, rows, strict=True))], np.int32),
        "rows": np.array([row * length + place for row, place, _ in wanted], np.int64),
        "targets": np.array([target for _, _, target in wanted], np.int64),
    }


def past_of(found: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("present", "past"): value for name, value in found.items() if name.startswith("present")}


def test_equals_transformers(model: PreTrainedModel, tmp_path: Path) -> None:
    ids = random_ids(40)
    values = artifact(model, tmp_path).logprobs(Tokens(tuple(ids), 1))
    expected = table(model, ids)[np.arange(39), ids[1:]]
    assert values == pytest.approx(expected, abs=1e-4)
    assert expected.std() > 0.5, "a model with opinions"


def test_rows_of_different_lengths(model: PreTrainedModel, tmp_path: Path) -> None:
    rows = [random_ids(30, 1), random_ids(3, 2), random_ids(17, 3)]
    wanted = [(row, place, ids[place + 1]) for row, ids in enumerate(rows) for place in range(len(ids) - 1)]
    values = artifact(model, tmp_path).run(feeds(rows, wanted=wanted), ["logprobs"])["logprobs"]
    tables = [table(model, ids) for ids in rows]
    assert values == pytest.approx([tables[row][place, target] for row, place, target in wanted], abs=1e-4)


def test_goes_on_from_a_past(model: PreTrainedModel, tmp_path: Path) -> None:
    """Several tokens at once behind what one row had read, and then one token at a time."""
    ids = random_ids(30)
    expected = table(model, ids)
    graph = artifact(model, tmp_path)
    first = graph.run(feeds([ids[:10]], wanted=[(0, 9, ids[10])]))
    more = [(0, place, ids[11 + place]) for place in range(10)]
    second = graph.run(feeds([ids[10:20]], past=[10], wanted=more) | past_of(first))
    assert first["logprobs"] == pytest.approx([expected[9, ids[10]]], abs=1e-4)
    assert second["logprobs"] == pytest.approx([expected[10 + at, ids[11 + at]] for at in range(10)], abs=1e-4)
    state = second
    for place in range(20, 29):
        step = feeds([[ids[place]]], past=[place], wanted=[(0, 0, ids[place + 1])])
        state = graph.run(step | past_of(state))
        assert state["logprobs"] == pytest.approx([expected[place, ids[place + 1]]], abs=1e-4)


def test_rows_of_different_lengths_go_on(model: PreTrainedModel, tmp_path: Path) -> None:
    """As generation does: prompts together, then a token for each row, whose place is behind its own past."""
    rows = [random_ids(12, 1), random_ids(5, 2)]
    graph = artifact(model, tmp_path)
    state = graph.run(feeds(rows, wanted=[(0, 11, 0), (1, 4, 0)]))
    for step in range(3):
        for number, row in enumerate(rows):
            assert state["top_ids"][number, 0] == table(model, row)[-1].argmax(), (step, number)
        fresh = [int(best) for best in state["top_ids"][:, 0]]
        past = [len(row) for row in rows]
        rows = [[*row, token] for row, token in zip(rows, fresh, strict=True)]
        state = graph.run(
            feeds([[token] for token in fresh], past=past, wanted=[(0, 0, 0), (1, 0, 0)]) | past_of(state)
        )


def test_the_likeliest_come_first_and_of_equals_the_lowest_id(tmp_path: Path) -> None:
    model = llama(tie_word_embeddings=False)
    with torch.no_grad():  # equals in one chunk and across chunks
        best = int(table(model, random_ids(8))[-1].argmax())
        for other in (3, 4500, 4501):
            model.lm_head.weight[other] = model.lm_head.weight[best]
    ids = random_ids(8)
    found = artifact(model, tmp_path).run(feeds([ids], wanted=[(0, 7, 1), (0, 2, 1)]))
    expected = table(model, ids)
    for row, place in enumerate((7, 2)):
        order = np.lexsort((np.arange(VOCABULARY), -expected[place]))[:LIKELIEST]
        assert found["top_logprobs"][row] == pytest.approx(expected[place][order], abs=1e-4)
    assert list(found["top_ids"][0, :4]) == sorted({3, 4500, 4501, best})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: llama(attention_bias=True), "attention_bias"),
        (lambda: llama(mlp_bias=True), "mlp_bias"),
        (lambda: llama(hidden_act="gelu"), "hidden_act gelu"),
        (
            lambda: llama(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "rope_type dynamic",
        ),
        (lambda: gpt2(activation_function="relu"), "activation_function relu"),
        (lambda: gpt2(scale_attn_by_inverse_layer_idx=True), "scale_attn_by_inverse_layer_idx"),
    ],
)
def test_what_the_graph_does_not_express_is_refused(model: Any, words: str) -> None:
    with pytest.raises(WorkerError, match=words) as refused:
        architecture_of(model())
    assert refused.value.code == "unsupported_architecture"


def test_other_architectures_are_refused() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    with pytest.raises(WorkerError, match="GPT2LMHeadModel and LlamaForCausalLM can"):
        architecture_of(MistralForCausalLM(config))
