"""Which sequences a step reads, what they count for, and how they are dealt out."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runs
from hypothesis import given
from hypothesis import strategies as st

from understudy_worker.data import Example
from understudy_worker.forward import Tokens
from understudy_worker.layout import Answers, Part, alike, count, deal, micro_batches, wants_sample, works
from understudy_worker.wire import RunSpec, SplitRef

BLOB = {"key": f"proj_1/job_1/1/{'0' * 64}", "bytes": 1, "sha256": "0" * 64}
SPLIT = SplitRef.model_validate({"dataset": "ds_1", "split": "train", "rows": 1, "blob": BLOB})


def spec(objective: dict[str, Any], **changes: Any) -> RunSpec:
    return RunSpec.model_validate_json(json.dumps(runs.spec(SPLIT, objective=objective, batch_size=2, **changes)))


def example(row: str, prompt: int, response: int, *, rejected: int | None = None) -> Example:
    ids = tuple(range(2, 2 + prompt + response))
    other = None if rejected is None else Tokens(ids[:prompt] + tuple(range(200, 200 + rejected)), prompt)
    return Example(row=row, tokens=Tokens(ids, prompt), rejected=other, references=("a",))


ROWS = [example("a", 3, 4), example("b", 5, 2)]
ANSWERS = Answers(student={2: (7, 8, 9), 3: (9,)}, teacher={"a": (5, 6), "b": (6, 6, 6, 1)})


def kinds(objective: dict[str, Any], **changes: Any) -> list[list[tuple[str | None, str | None, int]]]:
    made = works(spec(objective, **changes), ROWS, [], n=2, answers=ANSWERS)
    return [[(part.ce, part.distill, len(part.tokens.response)) for part in work] for work in made]


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ({"type": "sft"}, [[("lm", None, 4)], [("lm", None, 2)]]),
        ({"type": "dpkd"}, [[("lm", "token", 4)], [("lm", "token", 2)]]),
        (
            {"type": "dpkd", "granularity": "sequence"},
            [[("lm", "chosen", 4), (None, "rejected", 3)], [("lm", "chosen", 2), (None, "rejected", 1)]],
        ),
        (
            {"type": "reward_kl", "reward": {"grader": "exact_match"}},
            [[("lm", None, 4), (None, "policy", 3)], [("lm", None, 2), (None, "policy", 1)]],
        ),
        ({"type": "minillm", "kd_ratio": 1}, [[(None, "policy", 3)], [(None, "policy", 1)]]),
        ({"type": "jsd", "on_policy_fraction": 1, "kd_ratio": 1}, [[(None, "token", 3)], [(None, "token", 1)]]),
        ({"type": "jsd"}, [[("lm", "token", 4)], [("lm", "token", 2)]]),
        ({"type": "seqkd"}, [[(None, "token", 2)], [(None, "token", 4)]]),
        (
            {"type": "seqkd", "kd_ratio": 0.5},
            [[("lm", None, 4), (None, "token", 2)], [("lm", None, 2), (None, "token", 4)]],
        ),
    ],
)
def test_what_each_objective_reads(objective: dict[str, Any], expected: Any) -> None:
    assert kinds(objective) == expected


def test_the_teachers_answers_take_the_place_of_the_datas() -> None:
    assert kinds({"type": "dpkd"}, responses="teacher") == [[("lm", "token", 2)], [("lm", "token", 4)]]


def test_pairs_of_the_data() -> None:
    objective = {"type": "dpkd", "granularity": "sequence", "pairs": "data"}
    made = works(spec(objective), [example("a", 3, 4, rejected=6)], [], n=1, answers=Answers())
    assert [(part.distill, len(part.tokens.response)) for part in made[0]] == [("chosen", 4), ("rejected", 6)]


def test_denominators_are_of_the_whole_step() -> None:
    made = works(spec({"type": "sft"}), ROWS, [example("p", 1, 9)], n=1, answers=Answers())
    counts = count(made)
    assert (counts.lm, counts.plain_text, counts.distill, counts.tokens) == (6, 9, 0, 6)
    pairs = count(works(spec({"type": "dpkd", "granularity": "sequence"}), ROWS, [], n=2, answers=ANSWERS))
    assert (pairs.lm, pairs.distill, pairs.tokens) == (6, 2, 10)


def test_the_on_policy_share_of_rows_is_the_fraction() -> None:
    made = spec({"type": "jsd", "on_policy_fraction": 0.3})
    share = sum(wants_sample(made, n=n, row=f"row-{row}") for n in range(1, 51) for row in range(40)) / 2000
    assert share == pytest.approx(0.3, abs=0.04)


@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=20),
    budget=st.integers(16, 200),
    world=st.integers(1, 4),
)
def test_every_sequence_is_computed_once_within_the_budget(lengths: list[int], budget: int, world: int) -> None:
    rows = [(Part(str(index), Tokens(tuple(range(size)), 1), ce="lm"),) for index, size in enumerate(lengths)]
    shares = [micro_batches(hand, tokens=budget) for hand in deal(rows, world)]
    seen = [part.row for share in shares for batch in share for part in batch]
    assert sorted(seen, key=int) == [str(index) for index in range(len(lengths))]
    for share in shares:
        assert all(sum(len(part.tokens) for part in batch) <= budget or len(batch) == 1 for batch in share)


def test_like_sequences_lie_together_with_those_that_need_the_teacher_first() -> None:
    made = works(spec({"type": "minillm"}), ROWS, [example("p", 1, 9)], n=2, answers=ANSWERS)
    [batch] = micro_batches(made, tokens=None)
    assert [part.distill for part in batch] == ["policy", "policy", None, None, None]
    assert [(part.ce, positions) for part, positions in alike(batch)] == [
        (None, slice(0, 4)),
        ("lm", slice(4, 10)),
        ("plain_text", slice(10, 19)),
    ]
