"""The embedded default teacher, from its wheel: converted once, scored to the promised precision."""

from __future__ import annotations

from conftest import ref
from precision import Oracle
from smollm2 import PAIRS, needs_smollm2

from understudy_worker.forward import Tokens
from understudy_worker.generation import generate
from understudy_worker.models import LoadedModel, Models, facts
from understudy_worker.sampling import Draws
from understudy_worker.scoring import logprobs
from understudy_worker.tokens import encode_prompt, tokens_of
from understudy_worker.wire import Generation

pytestmark = needs_smollm2


def tokens(smol: LoadedModel, prompt: str, response: str) -> Tokens:
    return tokens_of(smol, prompt, response, template="chat", max_length=smol.context_length)


def test_converted_once(smol_models: Models, smol: LoadedModel) -> None:
    folder = smol_models.sources.folder(ref("smol").base, tick=lambda: None)
    converted = [path.stat().st_mtime_ns for path in folder.glob("*.safetensors")]
    assert converted
    again = smol_models.load(ref("smol"), tick=lambda: None)
    assert [path.stat().st_mtime_ns for path in folder.glob("*.safetensors")] == converted
    assert again.weights_digest == smol.weights_digest


def test_facts(smol: LoadedModel) -> None:
    found = facts(smol, ref("smol"))
    assert (found.layers, found.parameters, found.vocab_size) == (30, 134_515_008, 49_152)
    assert smol.tokenizer.eos_token == "<|im_end|>" and smol.end_id in smol.stop_ids


def test_precision(smol: LoadedModel, smol_oracle: Oracle) -> None:
    sequences = [tokens(smol, prompt, response) for prompt, response in PAIRS]
    alone = [logprobs(smol, [[one]], tick=lambda: None)[0][0] for one in sequences]
    smol_oracle.assert_as_exact(sequences, alone)


def test_precision_in_company(smol: LoadedModel, smol_oracle: Oracle) -> None:
    group = [tokens(smol, PAIRS[0][0], response) for _, response in PAIRS]
    (found,) = logprobs(smol, [group], tick=lambda: None)
    smol_oracle.assert_as_exact(group, found)


def test_greedy_answers_equal_transformers(smol: LoadedModel, smol_oracle: Oracle) -> None:
    prompts = [encode_prompt(smol, prompt, template="chat") for prompt, _ in PAIRS[:4]]
    draws = [Draws.of_prompt(0, ids) for ids in prompts]
    answers = generate(smol, prompts, draws=draws, generation=Generation(max_new_tokens=12))
    clear = 0
    for expected, answer in zip(smol_oracle.greedy(prompts, most=[12] * 4), answers, strict=True):
        clear += expected.clear
        assert answer.ids == tuple(expected.tokens) or not expected.clear
    assert clear >= 3
    assert "Paris" in answers[0].response
