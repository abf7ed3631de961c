"""Every job ends in exactly one final frame, with a stable code; large payloads and results go by blob."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, lease, local_job

from understudy_worker import endings
from understudy_worker.jobs import Job
from understudy_worker.runner import Runner
from understudy_worker.wire import BlobRef, ModelFacts, Output, PrepareOutput

MODELS = {name: json.loads(ref(name).model_dump_json()) for name in ("teacher", "student")}
PREPARE = {"kind": "prepare", "model": MODELS["teacher"]}
SCORE = {
    "kind": "score",
    **MODELS,
    "template": "chat",
    "items": [{"prompt": "The sky is", "responses": ["Blue.", "green"]}],
}


@pytest.fixture
def runner(room: Room) -> Runner:
    requests = room.requests()
    return Runner(backend=room.backend, blobs=room.blobs, trainer=room.trainer(), requests=requests, slots=1)


def run(runner: Runner, journal: Journal, payload: dict[str, Any], *, lineage: int | None = None) -> Any:
    runner.accept(local_job(journal, payload, lineage=lineage))
    return journal.wait_final("job_1")


def test_prepare(runner: Runner, journal: Journal) -> None:
    done = run(runner, journal, PREPARE)
    assert isinstance(done.output, PrepareOutput) and isinstance(done.output.facts, ModelFacts)
    assert done.output.facts.layers == 4 and done.artifact is None


def test_one_job_after_another(runner: Runner, journal: Journal) -> None:
    for number, payload in enumerate([PREPARE, SCORE, PREPARE]):
        runner.accept(local_job(journal, payload, job=f"job_{number}"))
    assert [journal.wait_final(f"job_{number}").type for number in range(3)] == ["result"] * 3


def test_train(runner: Runner, journal: Journal, blob_server: BlobServer) -> None:
    spec = runs.spec(runs.split_ref(blob_server, runs.rows(6)))
    body = json.loads(runs.payload(spec, to=2).model_dump_json(by_alias=True))
    done = run(runner, journal, body, lineage=0)
    assert (done.output.head, done.lineage) == (2, 0)


def test_a_large_payload_comes_as_a_blob(runner: Runner, journal: Journal, blob_server: BlobServer) -> None:
    job = local_job(journal, PREPARE)
    blob = blob_server.add(json.dumps(SCORE).encode())
    by_blob = lease(PREPARE, job="job_1").model_copy(update={"payload": None, "artifact": blob})
    runner.accept(Job(lease=by_blob, submit=job.submit))
    assert journal.wait_final("job_1").output.kind == "score"


def test_a_large_result_goes_as_a_blob(
    runner: Runner, journal: Journal, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "INLINE_BYTES", 200)
    done = run(runner, journal, SCORE)
    assert done.output is None and isinstance(done.artifact, BlobRef)
    assert done.artifact.key.startswith("proj_1/job_1/1/")
    data = room.blobs.get(done.artifact)
    from pydantic import TypeAdapter

    output: Any = TypeAdapter(Output).validate_json(data)
    assert output.kind == "score" and len(output.items[0]) == 2


def failing(runner: Runner, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(runner, "_run", fail)


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out_of_memory", True),
        (ZeroDivisionError("a secret prompt"), "internal", True),
    ],
)
def test_errors_become_fail_frames(
    runner: Runner, journal: Journal, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: str, retryable: bool
) -> None:
    failing(runner, monkeypatch, error)
    done = run(runner, journal, PREPARE)
    assert (done.type, done.code, done.retryable) == ("fail", code, retryable)
    assert "secret" not in done.detail
    monkeypatch.undo()
    runner.accept(local_job(journal, PREPARE, job="job_2"))
    assert journal.wait_final("job_2").type == "result", "the engine lives on"


def test_user_errors_keep_their_code(runner: Runner, journal: Journal) -> None:
    done = run(runner, journal, {**SCORE, "items": [{"prompt": "word " * 400, "responses": ["x"]}]})
    assert (done.type, done.code, done.retryable) == ("fail", "prompt_too_long", False)


def test_an_undeclared_model_is_refused(runner: Runner, journal: Journal) -> None:
    done = run(
        runner, journal, {"kind": "prepare", "model": {**MODELS["teacher"], "base": {"type": "local", "name": "no"}}}
    )
    assert (done.type, done.retryable) == ("refuse", False)


def test_an_abandoned_job_says_nothing(runner: Runner, journal: Journal) -> None:
    lost = local_job(journal, SCORE, job="job_lost")
    lost.drop()
    runner.accept(lost)
    assert run(runner, journal, PREPARE).type == "result"
    assert "job_lost" not in journal.final
