"""Preference evaluations: the pairs of a batch against scores of the same texts, by the models' own forward."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Room, ref
from journal import Journal, local_job
from precision import Oracle

from understudy_worker import preference
from understudy_worker.errors import WorkerError
from understudy_worker.generation import run_compare
from understudy_worker.models import LoadedModel
from understudy_worker.tokens import tokens_of
from understudy_worker.wire import ComparePayload, PairSide, PreferPayload, ScoredPair

PAIRS = [
    ("Hi", {"chosen": "Hello.", "rejected": "The sky is blue."}),
    ("Name the colour of grass.", {"chosen": "Green.", "rejected": "Blue."}),
    ("The capital of France is Paris, and of Italy", {"chosen": "Rome", "rejected": ""}),
    ("sky?", {"chosen": "Blue.", "rejected": "Blue."}),
]
MODELS = {name: json.loads(ref(name).model_dump_json()) for name in ("teacher", "student")}


def payload_of(batches: list[list[dict[str, Any]]], **changes: Any) -> PreferPayload:
    body = {
        "kind": "prefer", "evaluation": "pe_1", **MODELS, "template": "chat", "generation": None,
        "batches": [{"batch": 3 * n, "items": items} for n, items in enumerate(batches)], **changes,
    }  # fmt: skip
    return PreferPayload.model_validate_json(json.dumps(body))


def given() -> list[dict[str, Any]]:
    return [{"item": f"i{n}", "seed": 0, "prompt": prompt, "pair": pair} for n, (prompt, pair) in enumerate(PAIRS)]


def pairs_of(room: Room, journal: Journal, payload: PreferPayload) -> list[ScoredPair]:
    output = preference.run(payload, local_job(journal, payload), room.models)
    assert output.batches == len(payload.batches)
    return [pair for frame in journal.of("pairs") for pair in frame.items]


def assert_summed(loaded: LoadedModel, kind: str, compared: list[tuple[str, str, PairSide]]) -> None:
    """Each response's log-probability, and how many tokens it has."""
    sequences = [
        tokens_of(loaded, prompt, response, template="chat", max_length=loaded.context_length)
        for prompt, response, _ in compared
    ]
    assert [side.num_tokens for _, _, side in compared] == [len(tokens.response) for tokens in sequences]
    Oracle.of(loaded).assert_sums_as_exact(sequences, [getattr(side, kind) for _, _, side in compared])


def test_given_pairs_equal_the_models_own_forward(
    room: Room, journal: Journal, teacher: LoadedModel, student: LoadedModel
) -> None:
    pairs = pairs_of(room, journal, payload_of([given()]))
    assert [(pair.item, pair.seed) for pair in pairs] == [(f"i{n}", 0) for n in range(4)]
    compared = [
        (prompt, text, side)
        for (prompt, texts), pair in zip(PAIRS, pairs, strict=True)
        for text, side in ((texts["chosen"], pair.chosen), (texts["rejected"], pair.rejected))
    ]
    assert all((side.response, side.finish_reason) == (None, None) for _, _, side in compared)
    assert_summed(teacher, "teacher_logprob", compared)
    assert_summed(student, "student_logprob", compared)


def test_equal_responses_tie_exactly(room: Room, journal: Journal) -> None:
    *_, tie = pairs_of(room, journal, payload_of([given()]))
    assert tie.chosen == tie.rejected


def test_batches_go_ahead_whole_and_alone_decide_their_bits(room: Room, journal: Journal) -> None:
    items = given()
    first = pairs_of(room, journal, payload_of([items[:3], items[3:]]))
    assert [(frame.batch, len(frame.items)) for frame in journal.of("pairs")] == [(0, 3), (3, 1)]
    assert pairs_of(room, journal, payload_of([items[:3]]))[len(first) :] == first[:3]


def test_both_models_answer_where_nothing_is_given(
    room: Room, journal: Journal, teacher: LoadedModel, student: LoadedModel
) -> None:
    items = [{**item, "seed": 7, "pair": None} for item in given()]
    pairs = pairs_of(room, journal, payload_of([items], generation={"max_new_tokens": 5, "temperature": 0.9}))
    compared = []
    for (prompt, _), pair in zip(PAIRS, pairs, strict=True):
        for side in (pair.chosen, pair.rejected):
            assert side.response is not None and side.finish_reason in ("stop", "length")
            compared.append((prompt, side.response, side))
    assert_summed(teacher, "teacher_logprob", compared)
    assert_summed(student, "student_logprob", compared)
    assert any(pair.chosen.response != pair.rejected.response for pair in pairs)


def test_a_model_is_as_close_to_itself_as_can_be(room: Room, journal: Journal) -> None:
    items = [{**item, "seed": 7, "pair": None} for item in given()]
    asked = payload_of([items], generation={"max_new_tokens": 5}, student=MODELS["teacher"])
    for pair in pairs_of(room, journal, asked):
        assert pair.chosen == pair.rejected
        assert pair.chosen.teacher_logprob == pair.chosen.student_logprob


def test_chosen_is_the_teachers_answer(room: Room, journal: Journal) -> None:
    items = [{**item, "seed": 7, "pair": None} for item in given()]
    generation = {"max_new_tokens": 5, "seeds": [7]}
    pairs = pairs_of(room, journal, payload_of([items], generation=generation))
    body = {
        "kind": "compare", **MODELS, "template": "chat", "generation": generation,
        "prompts": [item["prompt"] for item in items],
    }  # fmt: skip
    asked = ComparePayload.model_validate_json(json.dumps(body))
    compared = run_compare(asked, local_job(journal, asked), room.models)
    for pair, other in zip(pairs, compared.items, strict=True):
        assert (pair.chosen.response, pair.rejected.response) == (other.teacher.response, other.student.response)


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"prompt": "word " * 300, "pair": {"chosen": "a", "rejected": "b"}}, "prompt_too_long"),
        ({"prompt": "Hi", "pair": None}, "invalid_payload"),
    ],
)
def test_what_cannot_be_scored_names_its_item(room: Room, journal: Journal, item: dict[str, Any], code: str) -> None:
    payload = payload_of([[{"item": "bad-one", "seed": 0, **item}]])
    with pytest.raises(WorkerError, match="bad-one") as error:
        preference.run(payload, local_job(journal, payload), room.models)
    assert error.value.code == code
