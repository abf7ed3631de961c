"""Spans of steps: replay to the bit, recovery, checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, local_job
from transformers import AutoModelForCausalLM, AutoTokenizer

from understudy_worker import checkpoints
from understudy_worker import step as step_module
from understudy_worker.distill import Trainer
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.models import Models
from understudy_worker.wire import ModelRef, TrainOutput, TrainPayload


def train(
    room: Room, journal: Journal, payload: TrainPayload, *, trainer: Trainer | None = None, **lease: Any
) -> TrainOutput:
    trainer = trainer or room.trainer()
    return trainer.run(payload, local_job(journal, payload, lineage=0, **lease))


@pytest.fixture
def spec(blob_server: BlobServer) -> dict[str, Any]:
    return runs.spec(runs.split_ref(blob_server, runs.rows(10)))


def test_twelve_steps_straight(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    output = train(room, journal, runs.payload(spec))
    assert output.head == 12 and output.state_sha256
    metrics = [journal.steps[n].metrics for n in range(1, 13)]
    assert metrics[-1].loss < metrics[0].loss
    assert all(metric.margin_token_mean is not None and metric.margin_token_mean <= 0 for metric in metrics)
    assert all(metric.rewards_margins is None for metric in metrics)
    assert metrics[0].learning_rate == 0.005 and metrics[1].learning_rate == 0.01


@pytest.mark.parametrize("student", ["student", "gpt2"])
def test_a_killed_run_ends_in_the_same_bits(
    new_room: Any, spec: dict[str, Any], student: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {**spec, "student": json.loads(ref(student).model_dump_json())}
    straight = Journal()
    undisturbed = train(new_room(), straight, runs.payload(spec))

    # Due after every step and stored while the next is taken; only the state at 4 is kept, as if the rest were lost.
    monkeypatch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)
    killed = Journal()
    first_room = new_room()
    trainer = first_room.trainer()
    train(first_room, killed, runs.payload(spec, to=4), trainer=trainer)
    train(first_room, killed, runs.continuing(spec, killed, to=7), trainer=trainer, job="job_2")
    killed.resumes = [frame for frame in killed.resumes if frame.state.step <= 4][-1:]
    assert killed.resumes

    payload = runs.continuing(spec, killed, to=12)
    assert len(payload.hashes) == 7 - killed.resumes[0].state.step
    second = train(new_room(), killed, payload, job="job_3")
    assert killed.hashes(1, 12) == straight.hashes(1, 12)
    assert second.state_sha256 == undisturbed.state_sha256


def test_a_run_in_memory_goes_on_without_loading(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    trainer = room.trainer()
    train(room, journal, runs.payload(spec, to=3), trainer=trainer)
    held = trainer.runs.held()
    assert [(run.run, run.lineage, run.head, run.hash) for run in held] == [("run_1", 0, 3, journal.steps[3].hash)]
    before = trainer.runs._states[("run_1", 0)].student
    train(room, journal, runs.continuing(spec, journal, to=5), trainer=trainer, job="job_2")
    assert trainer.runs._states[("run_1", 0)].student is before


def test_memory_ahead_of_the_journal_is_not_trusted(room: Room, new_room: Any, spec: dict[str, Any]) -> None:
    straight = Journal()
    train(new_room(), straight, runs.payload(spec, to=6))
    journal = Journal()
    trainer = room.trainer()
    train(room, journal, runs.payload(spec, to=5), trainer=trainer)
    del journal.steps[5], journal.steps[4]  # never arrived
    train(room, journal, runs.continuing(spec, journal, to=6), trainer=trainer, job="job_2")
    assert journal.hashes(1, 6) == straight.hashes(1, 6)


def test_memory_with_another_hash_is_not_trusted(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    trainer = room.trainer()
    train(room, journal, runs.payload(spec, to=3), trainer=trainer)
    other = trainer.runs._states[("run_1", 0)]
    other.head_hash = "0" * 64
    train(room, journal, runs.continuing(spec, journal, to=4), trainer=trainer, job="job_2")
    assert trainer.runs._states[("run_1", 0)] is not other
    assert [frame.n for frame in journal.of("step")] == [1, 2, 3, 4], "it never offered a step from that memory"


def test_a_gap_reloads_and_goes_on(room: Room, new_room: Any, journal: Journal, spec: dict[str, Any]) -> None:
    straight = Journal()
    train(new_room(), straight, runs.payload(spec, to=5))
    journal.scripted["step"] = [("ok", None), ("gap", 0)]
    output = train(room, journal, runs.payload(spec, to=5))
    assert output.head == 5
    assert journal.hashes(1, 5) == straight.hashes(1, 5)


def test_a_wrong_replay_is_reported_and_ends(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    payload = runs.payload(spec, **{"from": 3, "to": 4, "head_hash": "0" * 64, "hashes": ["1" * 64, "0" * 64]})
    with pytest.raises(WorkerError, match="another hash") as error:
        train(room, journal, payload)
    assert error.value.code == "mismatch"
    assert [frame.n for frame in journal.of("mismatch")] == [1]


@pytest.mark.parametrize("status", ["stale_fence", "cancelled", "diverged"])
def test_a_lost_lease_stops_the_span(room: Room, journal: Journal, spec: dict[str, Any], status: Any) -> None:
    journal.scripted["step"] = [("ok", None), (status, None)]
    trainer = room.trainer()
    with pytest.raises(Abandoned):
        train(room, journal, runs.payload(spec), trainer=trainer)
    assert len(journal.of("step")) == 2
    assert bool(trainer.runs.held()) == (status != "diverged")


def test_the_rows_are_reported_once_and_checked_after(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    train(room, journal, runs.payload(spec, to=1))
    assert journal.rows and journal.rows.rows.kept == 10 and journal.rows.rows.skipped == 0
    other = json.loads(journal.rows.rows.model_dump_json()) | {"digest": "0" * 64}
    with pytest.raises(WorkerError, match="tokenises") as error:
        train(room, journal, runs.payload(spec, to=1, rows=other))
    assert error.value.code == "rows_mismatch"


def test_a_checkpoint_is_a_model(
    room: Room, new_room: Any, journal: Journal, spec: dict[str, Any], blob_server: BlobServer
) -> None:
    trainer = room.trainer()
    train(room, journal, runs.payload(spec, to=3, checkpoint_at=[2, 3]), trainer=trainer)
    assert [frame.state.step for frame in journal.checkpoints] == [2, 3]
    stored = journal.checkpoints[1].state
    names = [file.name for file in stored.files]
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(names)
    assert all(part.key.split("/")[1:3] == ["run_1", "1"] for file in stored.files for part in file.parts)

    files = [json.loads(file.model_dump_json()) for file in stored.files]
    as_model = ModelRef.model_validate_json(
        json.dumps(
            {
                "model": "run_1@3",
                "base": {"type": "files", "files": files},
                "layer_indices": None,
                "weights_digest": stored.sha256,
            }
        )
    )
    elsewhere: Models = new_room().models
    loaded = elsewhere.get(as_model, tick=lambda: None)
    trained = trainer.runs._states[("run_1", 0)].student
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(loaded.model.parameters(), trained.model.parameters(), strict=True)
    )
    assert loaded.tokenizer_digest == trained.loaded.tokenizer_digest
    reads = blob_server.reads
    room.models.get(as_model, tick=lambda: None)
    assert blob_server.reads == reads, "the worker that wrote a checkpoint has its files already"


def test_checkpoint_folder_loads_in_plain_transformers(
    room: Room, journal: Journal, spec: dict[str, Any], tmp_path: Path
) -> None:
    train(room, journal, runs.payload(spec, to=1, checkpoint_at=[1]))
    for file in journal.checkpoints[0].state.files:
        room.blobs.get_file(file, tmp_path / file.name, on_part=lambda _: None)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = AutoTokenizer.from_pretrained(tmp_path)
    assert model.config.num_hidden_layers == 2 and tokens.chat_template


def test_only_a_checkpoint(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    train(room, journal, runs.payload(spec, to=2))
    output = train(room, journal, runs.continuing(spec, journal, to=2, checkpoint_at=[2]), job="job_2")
    assert output.head == 2
    assert [frame.state.step for frame in journal.checkpoints] == [2]


def test_micro_batches_and_chunks_change_the_chain_but_not_the_result(new_room: Any, spec: dict[str, Any]) -> None:
    whole, parts = Journal(), Journal()
    train(new_room(), whole, runs.payload(spec, to=3))
    train(new_room(), parts, runs.payload(spec, to=3, plan=[{**runs.PLAN, "micro_batch_tokens": 16, "head_chunk": 3}]))
    assert whole.steps[1].hash != parts.steps[1].hash
    for n in (1, 2, 3):
        ours, theirs = parts.steps[n].metrics, whole.steps[n].metrics
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-4)
        assert ours.tokens == theirs.tokens


def test_out_of_memory_is_told_and_the_smaller_plan_goes_on(
    room: Room, journal: Journal, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = step_module._Step._micro_batch

    def small_memory(step: Any, parts: Any, weights: Any) -> Any:
        if step._n == 3 and len(parts) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(step, parts, weights)

    monkeypatch.setattr(step_module._Step, "_micro_batch", small_memory)
    trainer = room.trainer()
    output = train(room, journal, runs.payload(spec), trainer=trainer)
    assert output.head == 2 and output.state_sha256 is None
    (oom,) = journal.of("oom")
    assert (oom.n, oom.rows) == (3, 4)
    plan = [
        runs.PLAN,
        {**runs.PLAN, "from": 3, "micro_batch_tokens": oom.tokens // 2},
    ]
    output = train(room, journal, runs.continuing(spec, journal, to=12, plan=plan), trainer=trainer, job="job_2")
    assert output.head == 12


def test_a_nonfinite_loss_names_its_rows(
    room: Room, journal: Journal, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**spec, "objective": runs.SFT, "optimizer": {**spec["optimizer"], "learning_rate": 1.0, "grad_clip": 1e6}}
    trainer = room.trainer()
    train(room, journal, runs.payload(broken, to=1), trainer=trainer)
    with torch.no_grad():
        next(trainer.runs._states[("run_1", 0)].student.model.parameters()).fill_(float("nan"))
    with pytest.raises(WorkerError, match="row-") as error:
        train(room, journal, runs.continuing(broken, journal, to=2), trainer=trainer, job="job_2")
    assert error.value.code == "nonfinite_loss"
    assert list(journal.steps) == [1]


def test_sft_needs_no_teacher_and_dpkd_does(room: Room, journal: Journal, spec: dict[str, Any]) -> None:
    output = train(room, journal, runs.payload({**spec, "teacher": None, "objective": runs.SFT}, to=2))
    assert output.head == 2
    assert journal.steps[1].metrics.loss_distill is None
    assert journal.steps[1].metrics.loss == journal.steps[1].metrics.loss_lm
    with pytest.raises(WorkerError, match="needs a teacher"):
        train(room, Journal(), runs.payload({**spec, "teacher": None}, to=2))
