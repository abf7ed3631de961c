"""Log-probabilities against transformers' own forward, and whatever they are batched with."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from conftest import Room, ref
from journal import Journal, local_job

from understudy_worker import scoring
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.scoring import logprobs
from understudy_worker.wire import ScorePayload


def sequences(count: int, *, vocabulary: int, seed: int = 0, most: int = 60) -> list[Tokens]:
    """Random prompts and responses, one-token responses and prompts among them."""
    dice = random.Random(seed)
    lengths = [(1, 1), (most, 1), (1, most)] + [(dice.randint(1, most), dice.randint(1, most)) for _ in range(count)]
    return [
        Tokens(ids=tuple(dice.randrange(vocabulary) for _ in range(prompt + response)), prompt_length=prompt)
        for prompt, response in lengths
    ]


def plain(loaded: LoadedModel, tokens: Tokens) -> list[float]:
    """transformers' own forward on one sequence, its own logits, log-softmax in fp32."""
    with torch.no_grad():
        logits = loaded.model(input_ids=torch.tensor([tokens.ids])).logits[0].float()
    table = torch.log_softmax(logits, dim=-1)
    return [float(table[at - 1, tokens.ids[at]]) for at in range(tokens.prompt_length, len(tokens))]


@pytest.mark.parametrize("name", ["teacher", "student", "gpt2"])
def test_equals_plain_transformers(room: Room, name: str) -> None:
    loaded = room.models.get(ref(name), tick=lambda: None)
    batch = sequences(20, vocabulary=loaded.model.config.vocab_size)
    for tokens in batch:
        assert logprobs(loaded, tokens) == pytest.approx(plain(loaded, tokens), abs=1e-5)


def test_does_not_depend_on_what_is_asked_together(room: Room, journal: Journal) -> None:
    """In one payload with others, in another order, alone: the same bits."""
    texts = ["Blue.", "the colour of grass " * 9, "", "1 2 3 4", "Paris, and the capital of Italy is Rome."]

    def scored(responses: list[str]) -> dict[str, list[float]]:
        asked = payload(items=[{"prompt": "The sky is", "responses": responses}])
        output = scoring.run(asked, local_job(journal, asked), room.models)
        return {text: item.student_logprobs for text, item in zip(responses, output.items[0], strict=True)}

    together = scored(texts)
    assert scored(texts[::-1]) == together
    assert all(scored([text]) == {text: together[text]} for text in texts)


def test_chunks_of_the_head_change_nothing(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sequences(10, vocabulary=teacher.model.config.vocab_size, seed=2)
    whole = [logprobs(teacher, tokens) for tokens in batch]
    monkeypatch.setattr(scoring, "HEAD_CHUNK", 3)
    for tokens, values in zip(batch, whole, strict=True):
        assert logprobs(teacher, tokens) == pytest.approx(values, abs=1e-5)


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
    output = scoring.run(asked, local_job(journal, asked), room.models)
    first, empty, _ = output.items[0]
    assert empty.token_ids == [teacher.end_id]
    assert first.token_ids[-1] == teacher.end_id and "".join(first.token_texts[:-1]) == "Blue."
    assert len(first.token_ids) == len(first.token_texts) == len(first.teacher_logprobs) == len(first.student_logprobs)
    assert output.tokens == sum(len(scored.token_ids) for scored in output.items[0])
    assert first.teacher_logprobs != first.student_logprobs


def test_raw_has_no_end_token(room: Room, journal: Journal) -> None:
    asked = payload(template="raw", items=[{"prompt": "The sky is", "responses": ["", " blue"]}])
    output = scoring.run(asked, local_job(journal, asked), room.models)
    assert output.items[0][0].token_ids == []
    assert "".join(output.items[0][1].token_texts) == " blue"


def test_a_response_is_cut_at_the_context(room: Room, journal: Journal) -> None:
    asked = payload(items=[{"prompt": "Count", "responses": ["1 " * 600]}])
    output = scoring.run(asked, local_job(journal, asked), room.models)
    loaded = room.models.get(ref("teacher"), tick=lambda: None)
    assert 0 < len(output.items[0][0].token_ids) < loaded.context_length
    assert output.items[0][0].token_ids[-1] != loaded.end_id


def test_a_prompt_longer_than_the_context_fails(room: Room, journal: Journal) -> None:
    asked = payload(items=[{"prompt": "word " * 400, "responses": ["x"]}])
    with pytest.raises(WorkerError) as error:
        scoring.run(asked, local_job(journal, asked), room.models)
    assert error.value.code == "prompt_too_long"


def test_a_broken_model_says_so(room: Room, journal: Journal) -> None:
    loaded = room.models.get(ref("student"), tick=lambda: None)
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(float("nan"))
    with pytest.raises(WorkerError) as error:
        scoring.run(payload(), local_job(journal, payload()), room.models)
    assert error.value.code == "nonfinite_logprob"
