"""What people wait for, through the runner: together where it may be, never across projects, beside long jobs."""

from __future__ import annotations

import json
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import Room, ref
from journal import Journal, local_job
from teachers import waits_for
from test_completions import alone, payload

from understudy_worker import requests as requests_module
from understudy_worker.decoding import Decoder
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel
from understudy_worker.runner import Runner
from understudy_worker.turns import TURN

MODELS = {name: json.loads(ref(name).model_dump_json()) for name in ("teacher", "student")}
PREPARE = {"kind": "prepare", "model": MODELS["teacher"]}


def score(*responses: str) -> dict[str, Any]:
    items = [{"prompt": "The sky is", "responses": list(responses)}]
    return {"kind": "score", **MODELS, "template": "chat", "items": items}


@pytest.fixture
def runner(room: Room) -> Runner:
    requests = room.requests()
    return Runner(backend=room.backend, blobs=room.blobs, trainer=room.trainer(), requests=requests, slots=1)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sequences each row had that was read."""
    found: list[int] = []
    read = Decoder.read

    def counted(self: Decoder, prompts: Any, *, keep: bool) -> Any:
        found.append(len(prompts))
        return read(self, prompts, keep=keep)

    monkeypatch.setattr(Decoder, "read", counted)
    return found


def of_project(job: Job, project: str) -> Job:
    return Job(lease=job.lease.model_copy(update={"project": project}), submit=job.submit)


def accept_together(runner: Runner, jobs: list[Job]) -> None:
    """While the device is busy: the first is taken and waits for it, the others come together behind it."""
    with TURN:
        accept_and_wait(runner, jobs[0])
        for job in jobs[1:]:
            runner.accept(job)


def accept_and_wait(runner: Runner, job: Job) -> None:
    """Until it waits for the device, which the caller holds."""
    runner.accept(job)
    assert waits_for(lambda: len(TURN._waiting) > 0)


def test_completions_of_several_callers_are_read_in_one_row(
    runner: Runner, journal: Journal, rows: list[int], teacher: LoadedModel
) -> None:
    asked = [payload([prompt], settings={"max_new_tokens": 4 + n}) for n, prompt in enumerate(("Hi", "0 1 2", "sky"))]
    jobs = [local_job(journal, one, job=f"job_{n}") for n, one in enumerate([asked[0], *asked])]
    accept_together(runner, jobs)
    outputs = [journal.wait_final(f"job_{n}").output for n in range(4)]
    assert rows == [1, 3]
    assert outputs[1:] == [alone(teacher, one) for one in asked]


def test_nothing_is_computed_across_projects(runner: Runner, journal: Journal, rows: list[int]) -> None:
    jobs = [local_job(journal, payload(["Hi"]), job=f"job_{n}") for n in range(4)]
    accept_together(runner, [of_project(job, f"proj_{n % 2}") for n, job in enumerate(jobs)])
    for n in range(4):
        assert journal.wait_final(f"job_{n}").type == "result"
    assert max(rows) < 3


def test_scores_come_together_and_one_at_fault_fails_alone(
    runner: Runner, journal: Journal, rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = requests_module.score

    def faulty(asked: Any, **how: Any) -> Any:
        if any(len(group) == 3 for one in asked for group in one.groups):
            raise RuntimeError("a secret")
        return compute(asked, **how)

    monkeypatch.setattr(requests_module, "score", faulty)
    asked = [score("Blue."), score("Blue.", "green"), score("a", "b", "c"), score("grey")]
    accept_together(runner, [local_job(journal, one, job=f"job_{n}") for n, one in enumerate(asked)])
    finals = [journal.wait_final(f"job_{n}") for n in range(4)]
    assert [final.type for final in finals] == ["result", "result", "fail", "result"]
    assert "secret" not in finals[2].detail


def test_a_request_does_not_wait_for_a_long_job(
    runner: Runner, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, held = threading.Event(), threading.Event()

    def slow(*_: Any) -> Any:
        held.set()
        hold.wait(20)
        raise ValueError

    monkeypatch.setattr(runner, "_run", slow)
    runner.accept(local_job(journal, PREPARE, job="job_long"))
    assert held.wait(60)
    runner.accept(local_job(journal, score("Blue."), job="job_short"))
    assert journal.wait_final("job_short").type == "result"
    assert "job_long" not in journal.final
    hold.set()
    assert journal.wait_final("job_long").type == "fail"


def test_a_stream_is_told_as_it_grows(runner: Runner, journal: Journal) -> None:
    asked = payload(["The sky is"], settings={"max_new_tokens": 10, "temperature": 1.0}, stream=True)
    runner.accept(local_job(journal, asked))
    output = journal.wait_final("job_1").output
    deltas = journal.of("delta")
    assert [delta.place for delta in deltas] == list(range(len(deltas))) and deltas
    assert "".join(piece.text for delta in deltas for piece in delta.pieces) == output.choices[0].text


def test_tokens_there_and_back(runner: Runner, journal: Journal, teacher: LoadedModel) -> None:
    asked = {
        "kind": "tokenize", "model": MODELS["teacher"], "texts": ["The sky", ""], "tokens": [[5, 6]],
        "add_special_tokens": False,
    }  # fmt: skip
    runner.accept(local_job(journal, asked))
    output = journal.wait_final("job_1").output
    assert output.tokens == [teacher.tokenizer.encode("The sky", add_special_tokens=False), []]
    assert output.texts == [teacher.tokenizer.decode([5, 6])]
    assert (output.eos_token, output.bos_token, output.pad_token) == ("<|im_end|>", "<|im_start|>", "<|im_end|>")


def test_a_dropped_request_says_nothing_more(runner: Runner, journal: Journal) -> None:
    lost = local_job(journal, payload(["Hi"], settings={"max_new_tokens": 200}), job="job_lost")
    with TURN:
        accept_and_wait(runner, lost)
        lost.drop()
    runner.accept(local_job(journal, payload(["Hi"]), job="job_2"))
    assert journal.wait_final("job_2").type == "result"
    assert "job_lost" not in journal.final


def test_memory_that_runs_out_fails_the_request(
    runner: Runner, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Decoder, "read", full)
    runner.accept(local_job(journal, payload(["Hi"])))
    done = journal.wait_final("job_1")
    assert (done.type, done.code, done.retryable) == ("fail", "out_of_memory", True)
    monkeypatch.undo()
    runner.accept(local_job(journal, payload(["Hi"]), job="job_2"))
    assert journal.wait_final("job_2").type == "result", "the engine lives on"


def test_many_streams_together_are_told_no_oftener_than_the_pool_can_hear(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(requests_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    told: list[Any] = []
    monkeypatch.setattr(runner._requests, "_send_new", told.append)
    streams = [SimpleNamespace(finished=False, sent_at=-math.inf) for _ in range(100)]
    for _ in range(390):
        now[0] += 0.01
        runner._requests._send_deltas(streams)  # type: ignore[arg-type]
    # The first of each goes at once, the next after the two seconds in which all have had their turn.
    assert [sum(one is stream for one in told) for stream in streams] == [2] * 100
    streams[0].finished = True
    runner._requests._send_deltas(streams)  # type: ignore[arg-type]
    assert told[-1] is streams[0]
