"""Log-probabilities against transformers' own forward, and whatever they are batched with."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from conftest import Room, ref
from journal import Journal, local_job
from precision import Oracle

from understudy_worker import decoding, scoring, token_logprobs
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.scoring import Scoring, logprobs, score
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.wire import ScoreOutput, ScorePayload


def sequences(count: int, *, vocabulary: int, seed: int = 0, most: int = 60) -> list[Tokens]:
    """Random prompts and responses, one-token responses and prompts among them."""
    dice = random.Random(seed)
    lengths = [(1, 1), (most, 1), (1, most)] + [(dice.randint(1, most), dice.randint(1, most)) for _ in range(count)]
    return [
        Tokens(ids=tuple(dice.randrange(vocabulary) for _ in range(prompt + response)), prompt_length=prompt)
        for prompt, response in lengths
    ]


def nothing() -> None:
    pass


def run(asked: ScorePayload, journal: Journal, room: Room) -> ScoreOutput:
    (output,) = score([Scoring.of(asked, local_job(journal, asked), room.models)], known=room.known(), tick=nothing)
    return output


@pytest.mark.parametrize("row_tokens", [decoding.ROW_TOKENS, 100])
@pytest.mark.parametrize("name", ["teacher", "student", "gpt2"])
def test_equals_plain_transformers(room: Room, name: str, row_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "ROW_TOKENS", row_tokens)
    loaded = room.models.get(ref(name), tick=nothing)
    batch = sequences(20, vocabulary=loaded.model.config.vocab_size)
    found = logprobs(loaded, [[tokens] for tokens in batch], tick=nothing)
    Oracle.of(loaded).assert_as_exact(batch, [values for (values,) in found])


@pytest.mark.parametrize("name", ["teacher", "gpt2"])
def test_what_responses_share_is_read_once(room: Room, name: str) -> None:
    """Responses to one prompt, some of which begin alike, one the beginning of another, one given twice."""
    loaded = room.models.get(ref(name), tick=nothing)
    prompt = tuple(range(5, 45))
    responses = [(9, 8, 7, 6), (9, 8, 7), (9, 8, 1, 2, 3), (4,), (9, 8, 7, 6), (4, 4, 4)]
    batch = [Tokens(ids=(*prompt, *response), prompt_length=len(prompt)) for response in responses]
    read: list[int] = []
    hook = loaded.model.base_model.register_forward_pre_hook(
        lambda *given: read.append(given[2]["input_ids"].numel()), with_kwargs=True
    )
    (found,) = logprobs(loaded, [batch], tick=nothing)
    hook.remove()
    assert read == [40 + 4 + 3 + 3]
    Oracle.of(loaded).assert_as_exact(batch, found)


def sequences_of(asked: ScorePayload, room: Room) -> list[Tokens]:
    scoring = Scoring.of(asked, local_job(Journal(), asked), room.models)
    return [tokens for group in scoring.groups for tokens in group]


def test_does_not_depend_on_what_is_asked_together(room: Room, journal: Journal, student: LoadedModel) -> None:
    """In one payload with others, in another order, alone."""
    texts = ["Blue.", "the colour of grass " * 9, "", "1 2 3 4", "Paris, and the capital of Italy is Rome."]

    def scored(responses: list[str]) -> dict[str, list[float]]:
        asked = payload(items=[{"prompt": "The sky is", "responses": responses}])
        output = run(asked, journal, room)
        return {text: item.student_logprobs for text, item in zip(responses, output.items[0], strict=True)}

    together = scored(texts)
    assert scored(texts[::-1]) == together
    oracle = Oracle.of(student)
    tokens = sequences_of(payload(items=[{"prompt": "The sky is", "responses": texts}]), room)
    oracle.assert_as_exact(tokens, list(together.values()))
    oracle.assert_as_exact(tokens, [scored([text])[text] for text in texts])


def test_requests_together_get_what_each_gets_alone(room: Room, journal: Journal, teacher: LoadedModel) -> None:
    texts = ("", "the colour of grass")
    asked = [payload(items=[{"prompt": "The sky is", "responses": [text, "Blue."]}]) for text in texts]
    together = score(
        [Scoring.of(one, local_job(journal, one), room.models) for one in asked], known=room.known(), tick=nothing
    )
    alone = [run(one, journal, room) for one in asked]
    for output, expected in zip(together, alone, strict=True):
        assert output.tokens == expected.tokens
        assert [got.token_ids for got in output.items[0]] == [one.token_ids for one in expected.items[0]]
    oracle, tokens = Oracle.of(teacher), [tokens for one in asked for tokens in sequences_of(one, room)]
    for outputs in (together, alone):
        oracle.assert_as_exact(tokens, [got.teacher_logprobs for output in outputs for got in output.items[0]])


def test_what_a_frozen_teacher_has_computed_is_not_computed_again(
    room: Room, journal: Journal, teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = payload(items=[{"prompt": "The sky is", "responses": ["Blue.", "green", "grey"]}])
    fresh = run(asked, journal, room)
    assert (fresh.teacher_cache.hits, fresh.teacher_cache.misses) == (0, 3)
    ((blue, _, grey),) = Scoring.of(asked, local_job(journal, asked), room.models).groups
    frozen = FrozenTeacher(
        ref("teacher", digest=teacher.weights_digest),
        models=room.models,
        cache=room.teachers.of("proj_1"),
        shared=None,
        dtype="float32",
        fingerprint="f" * 64,
        tick=nothing,
    )
    frozen.entries([blue, grey])
    read: list[int] = []
    hook = teacher.model.base_model.register_forward_pre_hook(
        lambda *given: read.append(given[2]["input_ids"].numel()), with_kwargs=True
    )
    again = run(asked, journal, room)
    hook.remove()
    assert (again.teacher_cache.hits, again.teacher_cache.misses) == (2, 1)
    assert len(read) == 1
    oracle = Oracle.of(teacher)
    for output in (fresh, again):
        oracle.assert_as_exact(sequences_of(asked, room), [got.teacher_logprobs for got in output.items[0]])


def test_chunks_of_the_head_change_nothing(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sequences(10, vocabulary=teacher.model.config.vocab_size, seed=2)
    (whole,) = logprobs(teacher, [batch], tick=nothing)
    monkeypatch.setattr(token_logprobs, "HEAD_CHUNK", 3)
    oracle = Oracle.of(teacher)
    for found in (whole, logprobs(teacher, [batch], tick=nothing)[0]):
        oracle.assert_as_exact(batch, found)


def payload(**changes: Any) -> ScorePayload:
    body = {
        "kind": "score",
        "teacher": json.loads(ref("teacher").model_dump_json()),
        "student": json.loads(ref("student").model_dump_json()),
        "template": "chat",
        "items": [{"prompt": "The sky is", "responses": ["Blue.", "", "the colour of grass"]}],
    }
    return ScorePayload.model_validate_json(json.dumps({**body, **changes}))


def test_a_payload_from_end_to_end(room: Room, journal: Journal, teacher: LoadedModel) -> None:
    asked = payload()
    output = run(asked, journal, room)
    first, empty, _ = output.items[0]
    assert empty.token_ids == [teacher.end_id]
    assert first.token_ids[-1] == teacher.end_id and "".join(first.token_texts[:-1]) == "Blue."
    assert len(first.token_ids) == len(first.token_texts) == len(first.teacher_logprobs) == len(first.student_logprobs)
    assert output.tokens == sum(len(scored.token_ids) for scored in output.items[0])
    assert first.teacher_logprobs != first.student_logprobs


def test_raw_has_no_end_token(room: Room, journal: Journal) -> None:
    asked = payload(template="raw", items=[{"prompt": "The sky is", "responses": ["", " blue"]}])
    output = run(asked, journal, room)
    assert output.items[0][0].token_ids == []
    assert "".join(output.items[0][1].token_texts) == " blue"


def test_a_response_is_cut_at_the_context(room: Room, journal: Journal) -> None:
    asked = payload(items=[{"prompt": "Count", "responses": ["1 " * 600]}])
    output = run(asked, journal, room)
    loaded = room.models.get(ref("teacher"), tick=lambda: None)
    assert 0 < len(output.items[0][0].token_ids) < loaded.context_length
    assert output.items[0][0].token_ids[-1] != loaded.end_id


def test_a_prompt_longer_than_the_context_fails(room: Room, journal: Journal) -> None:
    asked = payload(items=[{"prompt": "word " * 400, "responses": ["x"]}])
    with pytest.raises(WorkerError) as error:
        run(asked, journal, room)
    assert error.value.code == "prompt_too_long"


def test_a_broken_model_says_so(room: Room, journal: Journal) -> None:
    loaded = room.models.get(ref("student"), tick=lambda: None)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))
    with pytest.raises(WorkerError) as error:
        run(payload(), journal, room)
    assert error.value.code == "nonfinite_logprob"
