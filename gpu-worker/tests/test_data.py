"""Rows, their order and their packing: pure functions of seed, step and rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runs
from blob_server import BlobServer
from journal import Journal

from understudy_worker.data import batch_indices, epoch_order, read_rows, tokenise
from understudy_worker.errors import WorkerError
from understudy_worker.models import LoadedModel
from understudy_worker.optimizer import learning_rate, make_optimizer
from understudy_worker.student import Student
from understudy_worker.wire import Optimizer, RunSpec

ROWS = tuple(f"row-{index}" for index in range(10))


def run_spec(server: BlobServer, data: list[dict[str, Any]], **changes: Any) -> RunSpec:
    return RunSpec.model_validate_json(json.dumps(runs.spec(runs.split_ref(server, data), **changes)))


def test_each_epoch_is_a_permutation_that_seed_and_epoch_decide() -> None:
    orders = {epoch_order(ROWS, seed=seed, epoch=epoch) for seed in (1, 2) for epoch in (0, 1)}
    assert len(orders) == 4
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert epoch_order(ROWS, seed=1, epoch=0) == (0, 5, 6, 9, 8, 1, 2, 4, 7, 3), "a change breaks every stored run"


def test_a_row_keeps_its_place_whatever_else_is_there() -> None:
    few = [ROWS[index] for index in epoch_order(ROWS[:6], seed=3, epoch=2)]
    many = [ROWS[index] for index in epoch_order(ROWS, seed=3, epoch=2)]
    assert few == [row for row in many if row in ROWS[:6]]


def test_batches_walk_the_epochs_end_to_end() -> None:
    taken = [index for n in range(1, 11) for index in batch_indices(ROWS, seed=5, n=n, batch_size=4)]
    expected = [index for epoch in range(4) for index in epoch_order(ROWS, seed=5, epoch=epoch)]
    assert taken == expected
    assert batch_indices(ROWS, seed=5, n=7, batch_size=4) == expected[24:28]
    assert len(batch_indices(ROWS[:3], seed=5, n=1, batch_size=8)) == 8


def test_kept_and_skipped(blob_server: BlobServer, student: LoadedModel, journal: Journal) -> None:
    data = runs.rows(3)
    data += [
        {**data[0], "id": "empty", "response": ""},
        {**data[0], "id": "long", "prompt": "word " * 200},
        {**data[0], "id": "cut", "response": "blue " * 200},
    ]
    spec = run_spec(blob_server, data)
    rows = read_rows("\n".join(json.dumps(row) for row in data).encode())
    examples = tokenise(rows, student, spec=spec, tick=lambda: None)
    assert [example.row for example in examples.kept] == ["row-0", "row-1", "row-2", "cut"]
    assert (examples.report.kept, examples.report.skipped) == (4, 2)
    assert [(entry.row, entry.reason.split(",")[0]) for entry in examples.report.skipped_examples] == [
        ("empty", "the response is empty"),
        ("long", examples.report.skipped_examples[1].reason.split(",")[0]),
    ]
    assert "max_prompt_length 128" in examples.report.skipped_examples[1].reason
    cut = examples.kept[3].tokens
    assert len(cut) == 160 and cut.response[-1] != student.end_id
    assert examples.kept[0].tokens.response[-1] == student.end_id


def test_no_rows_left_is_an_error_with_the_reason(
    blob_server: BlobServer, student: LoadedModel, journal: Journal
) -> None:
    data = [{**runs.rows(1)[0], "response": ""}]
    spec = run_spec(blob_server, data)
    with pytest.raises(WorkerError, match="the response is empty") as error:
        tokenise(read_rows(json.dumps(data[0]).encode()), student, spec=spec, tick=lambda: None)
    assert error.value.code == "no_rows"


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [1.0, 1.0, 1.0, 1.0]),
        ("linear", 0, [1.0, 0.75 + 0.025, 0.55, 0.325]),
        ("cosine", 0, [1.0, 0.1 + 0.9 * (1 + 2**-0.5) / 2, 0.55, 0.1 + 0.9 * (1 - 2**-0.5) / 2]),
        ("cosine", 2, [0.5, 1.0, 1.0, 0.55]),
        ("constant", 4, [0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_learning_rate(schedule: Any, warmup: int, expected: list[float]) -> None:
    spec = Optimizer(learning_rate=1.0, min_learning_rate=0.1, schedule=schedule, warmup_steps=warmup, total_steps=4)
    assert [learning_rate(n, spec) for n in range(1, 5)] == pytest.approx(expected)


def test_only_matrices_decay(student: LoadedModel) -> None:
    groups = make_optimizer(Student(student, "float32", None), Optimizer(weight_decay=0.3)).param_groups
    assert [(group["weight_decay"], {p.dim() for p in group["params"]}) for group in groups] == [(0.3, {2}), (0.0, {1})]
    assert sum(len(group["params"]) for group in groups) == len(list(student.model.parameters()))
