"""Generation against transformers' generate, and whatever it is batched with."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import pytest
import torch
from conftest import Room, ref
from journal import Journal, local_job
from precision import Oracle

from understudy_worker import generation
from understudy_worker.errors import WorkerError
from understudy_worker.generation import Answer, generate
from understudy_worker.models import LoadedModel
from understudy_worker.sampling import Draws, next_tokens, probabilities
from understudy_worker.tokens import encode_prompt
from understudy_worker.wire import ComparePayload, GeneratePayload, Generation

PROMPTS = ["Hi", "Name the colour of grass.", "The capital of France is Paris, and of Italy", "0 1 2 3 4 5 6", "sky?"]


def settings_of(**changes: Any) -> Generation:
    return Generation(**{"max_new_tokens": 24, **changes})


def encoded(loaded: LoadedModel) -> list[list[int]]:
    return [encode_prompt(loaded, prompt, template="chat") for prompt in PROMPTS]


def drawn(prompts: list[list[int]], seeds: list[int] | None = None) -> list[Draws]:
    """Each prompt's numbers; of seed 0 where none is given."""
    return [Draws.of_prompt(seed, ids) for seed, ids in zip(seeds or [0] * len(prompts), prompts, strict=True)]


@pytest.mark.parametrize("name", ["teacher", "student", "gpt2"])
def test_greedy_equals_transformers(room: Room, name: str) -> None:
    loaded = room.models.get(ref(name), tick=lambda: None)
    prompts = encoded(loaded)
    answers = generate(loaded, prompts, draws=drawn(prompts), generation=settings_of())
    compared = 0
    for greedy, answer in zip(Oracle.of(loaded).greedy(prompts, most=[24] * len(prompts)), answers, strict=True):
        if not greedy.clear:
            continue
        compared += 1
        expected = greedy.tokens
        stopped = expected[-1] in loaded.stop_ids
        text = loaded.tokenizer.decode(expected[:-1] if stopped else expected, skip_special_tokens=True)
        assert answer == Answer(text, "stop" if stopped else "length", tuple(expected))
    assert compared >= 3


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_does_not_depend_on_the_batch(teacher: LoadedModel, temperature: float) -> None:
    prompts, seeds = encoded(teacher), [7, 7, 8, 9, 7]
    asked = settings_of(temperature=temperature)
    together = generate(teacher, prompts, draws=drawn(prompts, seeds), generation=asked)
    alone = [
        generate(teacher, [ids], draws=drawn([ids], [seed]), generation=asked)[0]
        for ids, seed in zip(prompts, seeds, strict=True)
    ]
    assert together == alone
    assert generate(teacher, prompts, draws=drawn(prompts, seeds), generation=asked) == together


def test_sequences_that_end_early_leave_the_others_alone(teacher: LoadedModel) -> None:
    # Every fifth token ends a response, so that the batch shrinks at many places.
    hasty = dataclasses.replace(teacher, stop_ids=frozenset(range(0, teacher.model.config.vocab_size, 5)))
    prompts = encoded(teacher) * 4
    seeds = list(range(len(prompts)))
    asked = settings_of(temperature=1.0)
    together = generate(hasty, prompts, draws=drawn(prompts, seeds), generation=asked)
    alone = [
        generate(hasty, [ids], draws=drawn([ids], [seed]), generation=asked)[0]
        for ids, seed in zip(prompts, seeds, strict=True)
    ]
    assert together == alone
    assert len({len(answer.ids) for answer in together}) > 4


def test_top_p_stops_at_the_token_that_reaches_it() -> None:
    assert probabilities(torch.zeros(1, 2), generation=settings_of(temperature=1.0, top_p=0.5))[0].tolist() == [1, 0]


def test_seeds_matter_only_when_sampling(teacher: LoadedModel) -> None:
    prompts = encoded(teacher)
    asked = settings_of(temperature=2.0)
    hot = [generate(teacher, prompts, draws=drawn(prompts, [seed] * 5), generation=asked) for seed in (1, 2)]
    assert hot[0] != hot[1]


def test_a_stop_id_ends_and_is_counted(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    end = teacher.tokenizer.eos_token_id
    script = iter([[20], [21], [end]])
    monkeypatch.setattr(generation, "next_tokens", lambda *_, **__: next(script))
    prompts = encoded(teacher)[:1]
    (answer,) = generate(teacher, prompts, draws=drawn(prompts), generation=settings_of())
    assert answer.finish_reason == "stop" and answer.ids == (20, 21, end)
    assert answer.response == teacher.tokenizer.decode([20, 21])


def test_stop_strings_cut_before_themselves(teacher: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = teacher.tokenizer.encode("one. two\n\nthree", add_special_tokens=False)
    script = iter([[token] for token in ids])
    monkeypatch.setattr(generation, "next_tokens", lambda *_, **__: next(script))
    prompts, asked = encoded(teacher)[:1], settings_of(stop=["\n\n", "three"])
    (answer,) = generate(teacher, prompts, draws=drawn(prompts), generation=asked)
    assert (answer.response, answer.finish_reason) == ("one. two", "stop")
    assert len(answer.ids) < len(ids)


def test_the_context_limits_the_length(teacher: LoadedModel) -> None:
    prompts = [[5] * (teacher.context_length - 3)]
    (answer,) = generate(teacher, prompts, draws=drawn(prompts), generation=settings_of())
    assert len(answer.ids) <= 3
    prompts = [[5] * teacher.context_length]
    with pytest.raises(WorkerError) as error:
        generate(teacher, prompts, draws=drawn(prompts), generation=settings_of())
    assert error.value.code == "prompt_too_long"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"temperature": 1.0}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 1.0, "top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"temperature": 1.0, "top_p": 0.6}, [0.625, 0.375, 0, 0]),
        ({"temperature": 1.0, "top_p": 0.5}, [1, 0, 0, 0]),
        ({"temperature": 1.0, "top_p": 0.01}, [1, 0, 0, 0]),
        ({"temperature": 1.0, "top_k": 3, "top_p": 0.9}, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        ({"temperature": 0.5}, [0.25 / 0.365, 0.09 / 0.365, 0.0225 / 0.365, 0.0025 / 0.365]),
    ],
)
def test_filters_by_hand(changes: dict[str, Any], expected: list[float]) -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert probabilities(logits, generation=settings_of(**changes))[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    draws = [Draws.of_prompt(1, [4])]
    asked = settings_of(temperature=1.0, top_k=3)
    counts = Counter(next_tokens(logits, draws, generation=asked)[0] for _ in range(4000))
    assert counts[3] == 0
    for token, share in enumerate([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95]):
        assert counts[token] / 4000 == pytest.approx(share, abs=0.03)


def test_greedy_ties_go_to_the_lowest_id() -> None:
    assert next_tokens(torch.tensor([[1.0, 3.0, 3.0]]), [Draws.of_prompt(0, [1])], generation=settings_of()) == [1]


def test_batches_of_an_evaluation(room: Room, journal: Journal) -> None:
    items = [{"item": f"i{n}", "seed": 10, "prompt": prompt} for n, prompt in enumerate(PROMPTS)]
    body = {
        "kind": "generate", "evaluation": "ev_1", "model": json.loads(ref("teacher").model_dump_json()),
        "template": "chat", "generation": {"max_new_tokens": 6}, "artifact": None,
        "batches": [{"batch": 0, "items": items[:3]}, {"batch": 4, "items": items[3:]}],
    }  # fmt: skip
    payload = GeneratePayload.model_validate_json(json.dumps(body))
    output = generation.run(payload, local_job(journal, payload), room.models)
    assert output.batches == 2
    assert [(frame.batch, [item.item for item in frame.items]) for frame in journal.of("items")] == [
        (0, ["i0", "i1", "i2"]),
        (4, ["i3", "i4"]),
    ]


def test_a_prompt_too_long_names_its_item(room: Room, journal: Journal) -> None:
    body = {
        "kind": "generate", "evaluation": "ev_1", "model": json.loads(ref("teacher").model_dump_json()),
        "template": "chat", "generation": {}, "artifact": None, "batches": [
            {"batch": 0, "items": [{"item": "long-one", "seed": 1, "prompt": "word " * 300}]}],
    }  # fmt: skip
    payload = GeneratePayload.model_validate_json(json.dumps(body))
    with pytest.raises(WorkerError, match="long-one"):
        generation.run(payload, local_job(journal, payload), room.models)


def test_compare_scores_texts_as_scores_do(room: Room, journal: Journal) -> None:
    from understudy_worker.scoring import Scoring, score
    from understudy_worker.wire import ScorePayload

    models = {name: json.loads(ref(name).model_dump_json()) for name in ("teacher", "student")}
    body = {
        "kind": "compare",
        **models,
        "template": "chat",
        "prompts": PROMPTS[:2],
        "generation": {"max_new_tokens": 5},
    }
    payload = ComparePayload.model_validate_json(json.dumps(body))
    output = generation.run_compare(payload, local_job(journal, payload), room.models)
    asked = ScorePayload.model_validate_json(
        json.dumps(
            {
                "kind": "score", **models, "template": "chat",
                "items": [
                    {"prompt": prompt, "responses": [pair.teacher.response, pair.student.response]}
                    for prompt, pair in zip(PROMPTS[:2], output.items, strict=True)
                ],
            }
        )
    )  # fmt: skip
    scoring = Scoring.of(asked, local_job(journal, asked), room.models)
    (scored,) = score([scoring], known=room.known(), tick=lambda: None)
    for pair, (by_teacher, by_student) in zip(output.items, scored.items, strict=True):
        assert pair.teacher.scored.token_ids == by_teacher.token_ids
        assert pair.student.scored.token_ids == by_student.token_ids
    sequences = [tokens for group in scoring.groups for tokens in group]
    compared = [one.scored for pair in output.items for one in (pair.teacher, pair.student)]
    by_scores = [one for pair in scored.items for one in pair]
    for loaded, kind in ((scoring.teacher, "teacher_logprobs"), (scoring.student, "student_logprobs")):
        oracle = Oracle.of(loaded)
        for found in (compared, by_scores):
            oracle.assert_as_exact(sequences, [getattr(one, kind) for one in found])
    assert output.tokens == scored.tokens
