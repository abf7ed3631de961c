"""Resume states: moments and the count of steps are part of where a run is; what is stored is verified."""

from __future__ import annotations

from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room
from journal import Journal
from safetensors.torch import load, save
from test_step import spec_of
from test_student import LORA, losses, state_of, train
from torch import Tensor

from understudy_worker import checkpoints
from understudy_worker.checkpoints import ResumeState, fetch, restore, state_tensors
from understudy_worker.errors import WorkerError
from understudy_worker.optimizer import WEIGHTS
from understudy_worker.wire import PlanEntry, StoredState

PLAN = PlanEntry.model_validate(runs.PLAN)
RATE = {"learning_rate": 0.01, "total_steps": 12, "schedule": "constant"}


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)


def content(server: BlobServer, stored: StoredState) -> bytes:
    return b"".join(server.content(part.key) for file in stored.files for part in file.parts)


@pytest.mark.parametrize("more", [{}, {"lora": LORA}, {"optimizer": {**RATE, "type": "adamw_8bit"}}])
def test_a_resume_state_is_more_than_its_weights(new_room: Any, blob_server: BlobServer, more: dict[str, Any]) -> None:
    """Going on from the state is going on; from its weights alone, or with its moments and another count, it is not."""
    spec = spec_of(blob_server, "jsd", **{"optimizer": RATE, **more})
    straight = Journal()
    train(new_room().trainer(), straight, spec, to=6)
    journal, first = Journal(), new_room().trainer()
    train(first, journal, spec, to=4)
    train(first, journal, spec, to=5)  # its first step stores the state at 5
    found = next(frame.state for frame in journal.resumes if frame.state.step == 5)
    whole = fetch(found, blobs=new_room().blobs, tick=lambda: None)
    weights = {name: tensor for name, tensor in whole.tensors.items() if name.startswith(f"{WEIGHTS}/")}

    def sixth(state: ResumeState) -> tuple[float, dict[str, Tensor]]:
        trainer, told = new_room().trainer(), Journal()
        train(trainer, told, spec, to=1)  # a run to put the state into
        run = state_of(trainer)
        run.optimizer.state.clear()
        restore(run, state)
        run.drawn.learn(journal.samples.values())
        outcome = trainer._engine.step(run, PLAN)
        return outcome.metrics.loss, {name: tensor.detach().clone() for name, tensor in run.student.own_tensors()}

    loss, after = sixth(whole)
    assert loss == losses(straight)[5]
    for other in (
        ResumeState(5, whole.hash, weights),
        ResumeState(5, whole.hash, {name: 0.5 * t if "exp_avg/" in name else t for name, t in whole.tensors.items()}),
    ):
        same_loss, elsewhere = sixth(other)
        assert same_loss == loss, "the weights are the same until the step is taken"
        moved = max(float((after[name] - elsewhere[name]).abs().max()) for name in after)
        assert moved > 1e-3, "its step is another"


def test_the_count_of_steps_is_restored(new_room: Any, blob_server: BlobServer) -> None:
    """AdamW corrects its moments' bias by it: a state that was told another count takes another step."""
    spec = spec_of(blob_server, "dpkd", optimizer=RATE)
    journal, first = Journal(), new_room().trainer()
    train(first, journal, spec, to=1)
    second = new_room().trainer()
    train(second, journal, spec, to=1)
    counts = {float(entry["step"]) for entry in state_of(second).optimizer.state.values()}
    assert counts == {1.0}
    train(second, journal, spec, to=3)
    straight = Journal()
    train(new_room().trainer(), straight, spec, to=3)
    assert journal.hashes(1, 3) == straight.hashes(1, 3)


def test_what_is_stored_is_what_the_run_held(new_room: Any, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "dpkd", optimizer=RATE)
    journal, trainer = Journal(), new_room().trainer()
    train(trainer, journal, spec, to=1)
    stored = load(content(blob_server, journal.resumes[0].state))
    held = dict(state_tensors(state_of(trainer)))
    assert stored.keys() == held.keys()
    assert all(torch.equal(stored[name], held[name]) for name in held)
    kinds = {name.partition("/")[0] for name in stored}
    assert kinds == {"weights", "exp_avg", "exp_avg_sq"}


def test_a_resume_state_that_is_gone_is_one_that_cannot_be_read(
    room: Room, new_room: Any, blob_server: BlobServer
) -> None:
    """So that the pool names the one before it: asking again would find the same."""
    journal = Journal()
    train(new_room().trainer(), journal, spec_of(blob_server, "dpkd", optimizer=RATE), to=1)
    stored = journal.resumes[0].state
    said = stored.model_dump(mode="json")
    said["files"][0]["parts"][0] |= {"key": said["files"][0]["parts"][0]["key"].replace("run_1", "run_2")}
    with pytest.raises(WorkerError, match="step 1 cannot be read") as error:
        fetch(StoredState.model_validate(said), blobs=room.blobs, tick=lambda: None)
    assert error.value.code == "resume_state_corrupt" and error.value.retryable


def test_a_changed_resume_state_is_refused(room: Room, new_room: Any, blob_server: BlobServer) -> None:
    """The file's own digest may hold while its tensors are others than the pool was told of."""
    spec = spec_of(blob_server, "dpkd", optimizer=RATE)
    journal = Journal()
    train(new_room().trainer(), journal, spec, to=1)
    stored = journal.resumes[0].state
    tensors = load(content(blob_server, stored))
    name = min(tensors)
    tensors[name] = tensors[name] + 1
    blob = blob_server.add(save(tensors, {"step": "1", "hash": "0" * 64}), owner="run_1")
    said = stored.model_dump(mode="json")
    said["files"][0] |= {"bytes": blob.bytes, "sha256": blob.sha256, "parts": [blob.model_dump(mode="json")]}
    changed = StoredState.model_validate(said)
    with pytest.raises(WorkerError, match="other tensors") as error:
        fetch(changed, blobs=room.blobs, tick=lambda: None)
    assert error.value.code == "resume_state_corrupt" and error.value.retryable
    said["files"][0]["name"] = "model.safetensors"
    with pytest.raises(WorkerError, match=r"one file named state\.safetensors"):
        fetch(StoredState.model_validate(said), blobs=room.blobs, tick=lambda: None)
