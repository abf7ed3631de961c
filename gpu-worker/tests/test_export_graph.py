"""The graph of an export against transformers' own forward, in onnxruntime, from the files as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from precision import FLOOR_NATS, OTHER_RUNTIME, Oracle, distance
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


def after(ids: list[int]) -> Tokens:
    """All places of these ids: what follows the last is predicted too."""
    return Tokens((*ids, 0), 1)


def assert_logprobs(
    model: PreTrainedModel, rows: list[list[int]], wanted: list[tuple[int, int, int]], values: np.ndarray[Any, Any]
) -> None:
    """What a graph gives for (row, place, target), against transformers' own forward."""
    tables = [Oracle.of(model).logprobs([after(ids)]) for ids in rows]
    theirs, exact = (
        torch.stack([tables[row][which][place, target] for row, place, target in wanted]) for which in (0, 1)
    )
    distance(torch.from_numpy(values), theirs, exact, floor=FLOOR_NATS, times=OTHER_RUNTIME).check(
        "log-probabilities of the graph, nats"
    )


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
    assert_logprobs(model, [ids], [(0, place, ids[place + 1]) for place in range(39)], values)
    assert values.std() > 0.5, "a model with opinions"


def test_rows_of_different_lengths(model: PreTrainedModel, tmp_path: Path) -> None:
    rows = [random_ids(30, 1), random_ids(3, 2), random_ids(17, 3)]
    wanted = [(row, place, ids[place + 1]) for row, ids in enumerate(rows) for place in range(len(ids) - 1)]
    values = artifact(model, tmp_path).run(feeds(rows, wanted=wanted), ["logprobs"])["logprobs"]
    assert_logprobs(model, rows, wanted, values)


def test_goes_on_from_a_past(model: PreTrainedModel, tmp_path: Path) -> None:
    """Several tokens at once behind what one row had read, and then one token at a time."""
    ids = random_ids(30)
    graph = artifact(model, tmp_path)
    first = graph.run(feeds([ids[:10]], wanted=[(0, 9, ids[10])]))
    more = [(0, place, ids[11 + place]) for place in range(10)]
    second = graph.run(feeds([ids[10:20]], past=[10], wanted=more) | past_of(first))
    state, found = second, [first["logprobs"], second["logprobs"]]
    for place in range(20, 29):
        step = feeds([[ids[place]]], past=[place], wanted=[(0, 0, ids[place + 1])])
        state = graph.run(step | past_of(state))
        found.append(state["logprobs"])
    assert_logprobs(model, [ids], [(0, place, ids[place + 1]) for place in range(9, 29)], np.concatenate(found))


def test_rows_of_different_lengths_go_on(model: PreTrainedModel, tmp_path: Path) -> None:
    """As generation does: prompts together, then a token for each row, whose place is behind its own past."""
    rows = [random_ids(12, 1), random_ids(5, 2)]
    graph, oracle = artifact(model, tmp_path), Oracle.of(model)
    state = graph.run(feeds(rows, wanted=[(0, 11, 0), (1, 4, 0)]))
    for step in range(3):
        for number, row in enumerate(rows):
            assert oracle.clear([Tokens((*row, 0), len(row))]).all()
            assert state["top_ids"][number, 0] == oracle.exact_logits(after(row))[-1].argmax(), (step, number)
        fresh = [int(best) for best in state["top_ids"][:, 0]]
        past = [len(row) for row in rows]
        rows = [[*row, token] for row, token in zip(rows, fresh, strict=True)]
        state = graph.run(
            feeds([[token] for token in fresh], past=past, wanted=[(0, 0, 0), (1, 0, 0)]) | past_of(state)
        )


def test_the_likeliest_come_first_and_of_equals_the_lowest_id(tmp_path: Path) -> None:
    model = llama(tie_word_embeddings=False)
    with torch.no_grad():  # equals in one chunk and across chunks
        best = int(Oracle.of(model).exact_logits(after(random_ids(8)))[-1].argmax())
        for other in (3, 4500, 4501):
            model.lm_head.weight[other] = model.lm_head.weight[best]
    ids = random_ids(8)
    found = artifact(model, tmp_path).run(feeds([ids], wanted=[(0, 7, 1), (0, 2, 1)]))
    theirs_KV, exact_KV = (table_LV[[7, 2]] for table_LV in Oracle.of(model).logprobs([after(ids)]))
    for row in range(2):
        assert list(found["top_logprobs"][row]) == sorted(found["top_logprobs"][row], reverse=True)
    likeliest = [table_KV.topk(LIKELIEST, dim=1).values for table_KV in (theirs_KV, exact_KV)]
    distance(torch.from_numpy(found["top_logprobs"]), *likeliest, floor=FLOOR_NATS, times=OTHER_RUNTIME).check(
        "the likeliest, nats"
    )
    ids_KK = torch.from_numpy(found["top_ids"])
    at = [table_KV.gather(1, ids_KK) for table_KV in (theirs_KV, exact_KV)]
    distance(torch.from_numpy(found["top_logprobs"]), *at, floor=FLOOR_NATS, times=OTHER_RUNTIME).check(
        "at the ids told, nats"
    )
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
