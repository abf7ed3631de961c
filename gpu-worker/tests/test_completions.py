"""Completions against transformers' own forward and generate, in company and alone."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from conftest import Room, ref
from journal import Journal, local_job
from precision import Oracle

from understudy_worker import completions as completions_module
from understudy_worker.completion import Completion
from understudy_worker.completions import Completions
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.wire import CompleteOutput, CompletePayload

PROMPTS = ["The sky is", "Name the colour of grass.", "The capital of France is Paris, and of Italy", "0 1 2 3 4 5"]


def payload(prompts: list[Any], **changes: Any) -> CompletePayload:
    settings = {"max_new_tokens": 12, "temperature": 0, **changes.pop("settings", {})}
    seeds = changes.pop("seeds", [1])
    body = {
        "kind": "complete", "model": json.loads(ref("teacher").model_dump_json()),
        "items": [{"prompt": prompt, "seeds": seeds} for prompt in prompts],
        "settings": settings, "echo": False, "logprobs": None, "stream": False, **changes,
    }  # fmt: skip
    return CompletePayload.model_validate_json(json.dumps(body))


def begin(loaded: LoadedModel, asked: CompletePayload, *, job: str = "job_1") -> Completion:
    return Completion(local_job(Journal(), asked, job=job), asked, loaded)


def broken(request: Completion, error: Exception) -> None:
    raise error


def together(loaded: LoadedModel, asked: list[CompletePayload]) -> list[CompleteOutput]:
    """All at once."""
    engine, requests = Completions(loaded, fail=broken), [begin(loaded, one) for one in asked]
    engine.add(requests)
    while not engine.idle:
        engine.step()
    return [request.output() for request in requests]


def alone(loaded: LoadedModel, asked: CompletePayload) -> CompleteOutput:
    return together(loaded, [asked])[0]


@pytest.mark.parametrize("name", ["teacher", "gpt2"])
def test_greedy_completions_of_many_lengths_equal_transformers(room: Room, name: str) -> None:
    loaded = room.models.get(ref(name), tick=lambda: None)
    dice = random.Random(4)
    prompts = [[dice.randrange(2, 300) for _ in range(dice.randint(1, 40))] for _ in range(12)]
    lengths = [dice.randint(1, 24) for _ in prompts]
    asked = [
        payload([ids], settings={"max_new_tokens": most}, logprobs=0)
        for ids, most in zip(prompts, lengths, strict=True)
    ]
    oracle = Oracle.of(loaded)
    compared, values = [], []
    for ids, expected, output in zip(
        prompts, oracle.greedy(prompts, most=lengths), together(loaded, asked), strict=True
    ):
        if not expected.clear:
            continue
        (choice,) = output.choices
        assert choice.logprobs is not None and choice.logprobs.token_ids == expected.tokens
        assert choice.finish_reason == ("stop" if expected.tokens[-1] in loaded.stop_ids else "length")
        compared.append(Tokens((*ids, *expected.tokens), prompt_length=len(ids)))
        values.append(choice.logprobs.logprobs)
    assert len(compared) >= 8
    oracle.assert_as_exact(compared, values)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_joining_and_leaving_changes_nobody(teacher: LoadedModel, temperature: float) -> None:
    settings = {"temperature": temperature, "max_new_tokens": 20}
    asked = [
        payload([prompt], settings={**settings, "max_new_tokens": 4 + 5 * n}, seeds=[n, n + 1])
        for n, prompt in enumerate(PROMPTS)
    ]
    engine = Completions(teacher, fail=broken)
    requests = [begin(teacher, one) for one in asked]
    for request in requests:  # each joins two tokens after the one before
        engine.add([request])
        engine.step()
        engine.step()
    while not engine.idle:
        engine.step()
    assert [request.output() for request in requests] == [alone(teacher, one) for one in asked]


def test_samples_of_one_prompt_are_those_of_their_seeds(teacher: LoadedModel) -> None:
    settings = {"temperature": 1.5}
    output = alone(teacher, payload([PROMPTS[0], PROMPTS[1]], settings=settings, seeds=[3, 4, 5]))
    assert [(choice.item, choice.sample) for choice in output.choices] == [(i, s) for i in (0, 1) for s in (0, 1, 2)]
    assert len({choice.text for choice in output.choices}) > 3
    for choice in output.choices:
        asked = payload([PROMPTS[choice.item]], settings=settings, seeds=[3 + choice.sample])
        (single,) = alone(teacher, asked).choices
        assert single.text == choice.text


def test_an_echo_has_the_prompts_own_logprobs(teacher: LoadedModel) -> None:
    prompts = [[5, 9, 11, 7, 30], [5, 9, 11, 8], [5, 9, 11, 7, 30], [44]]
    oracle = Oracle.of(teacher)
    output = alone(teacher, payload(prompts, echo=True, logprobs=3, settings={"max_new_tokens": 1}))
    sequences, values, likeliest = [], [], []
    for ids, read, choice in zip(prompts, output.prompts, output.choices, strict=True):
        assert read.logprobs is not None and read.text == teacher.tokenizer.decode(ids)
        assert read.logprobs.token_ids == ids and read.logprobs.logprobs[0] is None is read.logprobs.likeliest[0]
        assert choice.num_tokens == 1 and choice.logprobs is not None
        assert choice.logprobs.logprobs == [choice.logprobs.likeliest[0][0].logprob]  # type: ignore[index]
        # each token of the prompt after its first, and the choice behind it
        sequences.append(Tokens((*ids, *choice.logprobs.token_ids), prompt_length=1))
        values.append([*read.logprobs.logprobs[1:], *choice.logprobs.logprobs])
        likeliest += [*read.logprobs.likeliest[1:], *choice.logprobs.likeliest]
    oracle.assert_as_exact(sequences, values)
    _, exact_NV = oracle.logprobs(sequences)
    ids_NK = torch.tensor([[one.id for one in best or []] for best in likeliest])
    assert torch.equal(ids_NK, exact_NV.topk(3, dim=1).indices)
    oracle.assert_at(sequences, ids_NK, torch.tensor([[one.logprob for one in best or []] for best in likeliest]))
    ends_N = torch.tensor([len(ids) for ids in prompts]).cumsum(0) - 1
    assert ids_NK[ends_N, 0].tolist() == [tokens.ids[-1] for tokens in sequences], "the choice is the likeliest"


def test_the_likeliest_token_has_the_very_number(teacher: LoadedModel) -> None:
    ids = [5, 9, 11]
    (best,) = Oracle.of(teacher).greedy([ids], most=[4])
    assert best.clear
    output = alone(teacher, payload([ids + best.tokens], echo=True, logprobs=1, settings={"max_new_tokens": 0}))
    logprobs = output.prompts[0].logprobs
    assert logprobs is not None
    for value, likeliest in zip(logprobs.logprobs[3:], logprobs.likeliest[3:], strict=True):
        assert likeliest is not None and likeliest[0].logprob == value
    assert output.choices[0].num_tokens == 0 and output.choices[0].text == ""


def test_likeliest_beside_others_that_ask_for_more(teacher: LoadedModel) -> None:
    asked = [payload([PROMPTS[0]], logprobs=count, echo=True) for count in (0, 2, 5)]
    for count, output in zip((0, 2, 5), together(teacher, asked), strict=True):
        logprobs = output.choices[0].logprobs
        assert logprobs is not None and {len(one or []) for one in logprobs.likeliest} == {count}


def test_stop_strings_end_before_themselves(teacher: LoadedModel) -> None:
    free = alone(teacher, payload([PROMPTS[1]], settings={"max_new_tokens": 30})).choices[0].text
    mark = free[5:8]
    output = alone(teacher, payload([PROMPTS[1]], settings={"max_new_tokens": 30, "stop": [mark]}))
    (choice,) = output.choices
    assert choice.text == free[: free.index(mark)] and choice.finish_reason == "stop"


def test_pieces_make_the_text(teacher: LoadedModel) -> None:
    asked = payload(PROMPTS, settings={"max_new_tokens": 20, "temperature": 1.0}, seeds=[1, 2], stream=True, logprobs=1)
    engine, request = Completions(teacher, fail=broken), begin(teacher, asked)
    engine.add([request])
    text: dict[tuple[int, int], str] = {}
    tokens: dict[tuple[int, int], list[int]] = {}
    while not engine.idle:
        engine.step()
        for piece in request.pieces():
            key = (piece.item, piece.sample)
            text[key] = text.get(key, "") + piece.text
            assert piece.logprobs is not None
            tokens[key] = tokens.get(key, []) + piece.logprobs.token_ids
    for choice in request.output().choices:
        assert text.get((choice.item, choice.sample), "") == choice.text
        sent = tokens.get((choice.item, choice.sample), [])
        assert choice.logprobs is not None and choice.logprobs.token_ids[: len(sent)] == sent


def test_a_conversation_is_rendered(teacher: LoadedModel) -> None:
    turns = [{"role": "user", "content": "Hi"}]
    output = alone(teacher, payload([turns], settings={"max_new_tokens": 1}))
    rendered = teacher.tokenizer.apply_chat_template(turns, tokenize=True, add_generation_prompt=True)
    assert output.prompts[0].num_tokens == len(rendered["input_ids"])


@pytest.mark.parametrize(
    ("prompt", "code"),
    [("", "empty_prompt"), ([], "empty_prompt"), ([9999], "invalid_tokens"), ([5] * 256, "prompt_too_long")],
)
def test_prompts_that_cannot_be_read(teacher: LoadedModel, prompt: Any, code: str) -> None:
    with pytest.raises(WorkerError) as error:
        begin(teacher, payload([prompt]))
    assert error.value.code == code


def test_a_prompt_as_long_as_the_context_can_be_scored(teacher: LoadedModel) -> None:
    output = alone(teacher, payload([[5] * 256], echo=True, logprobs=0, settings={"max_new_tokens": 0}))
    assert output.prompts[0].logprobs is not None and len(output.prompts[0].logprobs.logprobs) == 256


def test_rows_are_bounded_and_some_wait(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions_module, "ROW_TOKENS", 20)
    monkeypatch.setattr(completions_module, "MOST_RUNNING", 3)
    asked = [payload([prompt], settings={"max_new_tokens": 3 + n}) for n, prompt in enumerate(PROMPTS * 3)]
    engine, requests = Completions(teacher, fail=broken), [begin(teacher, one) for one in asked]
    engine.add(requests)
    most = 0
    while not engine.idle:
        engine.step()
        most = max(most, len(engine._running))
    assert most <= 3
    assert [request.output() for request in requests] == [alone(teacher, one) for one in asked]


def test_what_does_not_fit_in_memory_is_read_in_halves(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [payload([prompt]) for prompt in PROMPTS]
    expected = [alone(teacher, one) for one in asked]
    failed: list[Exception] = []
    engine = Completions(teacher, fail=lambda request, error: failed.append(error))
    read = engine._decoder.read

    def scarce(prompts: Any, *, keep: bool) -> Any:
        result = read(prompts, keep=keep)
        if len(prompts) > 1:
            engine._decoder.keep(range(len(engine._running)))
            raise torch.OutOfMemoryError
        return result

    monkeypatch.setattr(engine._decoder, "read", scarce)
    requests = [begin(teacher, one) for one in asked]
    engine.add(requests)
    while not engine.idle:
        engine.step()
    assert not failed and [request.output() for request in requests] == expected


def test_one_dropped_request_leaves_the_others_alone(teacher: LoadedModel) -> None:
    asked = [payload([prompt], settings={"max_new_tokens": 15}) for prompt in PROMPTS]
    engine, requests = Completions(teacher, fail=broken), [begin(teacher, one) for one in asked]
    engine.add(requests)
    for _ in range(3):
        engine.step()
    engine.drop(requests[1])
    while not engine.idle:
        engine.step()
    for number in (0, 2, 3):
        assert requests[number].output() == alone(teacher, asked[number])
