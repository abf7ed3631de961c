"""Runs whose teacher's work is computed, read from disk or read from other workers: the same steps to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import runs
import torch
from blob_server import CACHE, BlobServer, _answer
from conftest import Room, ref
from journal import Journal
from teachers import stored, waits_for
from test_distill import train
from torch import Tensor, nn

from understudy_worker import blobs as blobs_module
from understudy_worker import checkpoints
from understudy_worker.distill import Trainer
from understudy_worker.engine import Engine
from understudy_worker.forward import Tokens, response_states
from understudy_worker.models import Models
from understudy_worker.ranks import Ranks
from understudy_worker.teacher_cache import Entry, TeacherCache, write_entry
from understudy_worker.wire import TrainOutput

STEPS = 6
ROWS = 10
FORWARD_KL = {"type": "forward_kl", "kd_ratio": 0.5}


@pytest.fixture
def digest(new_room: Any) -> str:
    """As the registry knows it: with it a worker need not load the teacher to know it."""
    loaded: str = new_room().models.load(ref("teacher"), tick=lambda: None).weights_digest
    return loaded


@pytest.fixture
def spec(blob_server: BlobServer, digest: str) -> dict[str, Any]:
    teacher = json.loads(ref("teacher", digest=digest).model_dump_json())
    return runs.spec(runs.split_ref(blob_server, runs.rows(ROWS)), teacher=teacher)


@pytest.fixture
def no_teacher(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, loading the teacher's layers is an error (the student is loaded by `Models.load`)."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the teacher's layers were loaded")

    return lambda: monkeypatch.setattr(Models, "get", refuse)


def run(
    room: Room, spec: dict[str, Any], journal: Journal | None = None, *, trainer: Trainer | None = None
) -> tuple[Journal, TrainOutput]:
    journal = journal or Journal()
    return journal, train(room, journal, runs.payload(spec, to=STEPS), trainer=trainer)


def same_steps(one: tuple[Journal, TrainOutput], other: tuple[Journal, TrainOutput]) -> bool:
    return (
        one[0].hashes(1, STEPS) == other[0].hashes(1, STEPS)
        and one[1].state_sha256 is None
        and one[1].head == other[1].head == STEPS
    )


def counted(done: tuple[Journal, TrainOutput]) -> tuple[int, int]:
    """Hits and misses of a run's steps."""
    caches = [done[0].steps[n].metrics.teacher_cache for n in range(1, STEPS + 1)]
    return sum(cache.hits for cache in caches), sum(cache.misses for cache in caches)


@pytest.mark.parametrize(
    ("objective", "dtype"), [(runs.DPKD, "float32"), (FORWARD_KL, "float32"), (FORWARD_KL, "bfloat16")]
)
def test_cold_warm_and_shared_are_the_same_steps(
    objective: dict[str, Any],
    dtype: str,
    new_room: Any,
    spec: dict[str, Any],
    blob_server: BlobServer,
    no_teacher: Callable[[], None],
) -> None:
    spec = {**spec, "objective": objective, "dtype": dtype}
    first, second = new_room(), new_room()
    cold = run(first, spec)
    assert counted(cold) == (STEPS * 4 - ROWS, ROWS), "six batches of four out of ten rows"
    assert waits_for(lambda: len(blob_server.cached) == ROWS)
    no_teacher()
    warm = run(replace(new_room(), cache=first.cache), spec)
    shared = run(second, spec)
    assert counted(warm) == counted(shared) == (STEPS * 4, 0)
    assert same_steps(warm, cold) and same_steps(shared, cold)
    assert stored(second.cache / "teacher") == stored(first.cache / "teacher") == blob_server.cached


def test_computing_anew_is_the_same_steps(new_room: Any, spec: dict[str, Any], blob_server: BlobServer) -> None:
    """Another worker that shares nothing, and one that loads the whole teacher first since nobody told its digest."""
    cold = run(new_room(), spec)
    assert waits_for(lambda: len(blob_server.cached) == ROWS)
    for anew in (spec, {**spec, "teacher": json.loads(ref("teacher").model_dump_json())}):
        blob_server.cached.clear()
        other = run(new_room(), anew)
        assert counted(other) == counted(cold)
        # The chain begins with the specification, which names the digest; the numbers are compared.
        metrics = [[done[0].steps[n].metrics for n in range(1, STEPS + 1)] for done in (cold, other)]
        ours, theirs = ([(metric.loss, metric.grad_norm) for metric in run] for run in metrics)
        assert ours == theirs
        assert waits_for(lambda: len(blob_server.cached) == ROWS)


def test_a_cache_that_keeps_nothing_is_the_same_steps(
    new_room: Any, spec: dict[str, Any], blob_server: BlobServer
) -> None:
    """Nothing on this worker's disk but the last entry, nothing shared."""
    cold = run(new_room(), spec)
    room = new_room()
    cache = TeacherCache(room.cache / "teacher", most_bytes=1)
    engine = Engine(models=room.models, blobs=room.blobs, cache=cache, fingerprint="f" * 64, ranks=Ranks())
    broken_store(blob_server, status=404)
    tight = run(room, spec, trainer=Trainer(engine))
    assert same_steps(tight, cold) and counted(tight)[1] > ROWS
    assert len(stored(room.cache / "teacher")) == 1


def test_entries_damaged_between_steps_are_the_same_steps(
    new_room: Any, spec: dict[str, Any], blob_server: BlobServer
) -> None:
    cold = run(new_room(), spec)
    broken_store(blob_server, status=404)
    room, journal = new_room(), Journal()
    trainer = room.trainer()
    train(room, journal, runs.payload(spec, to=3), trainer=trainer)
    good = stored(room.cache / "teacher")
    for number, path in enumerate(sorted((room.cache / "teacher").glob("proj_*/??/*"))):
        data = bytearray(path.read_bytes())
        data[(number * 997) % len(data)] ^= 16
        path.write_bytes(data)
    output = train(room, journal, runs.continuing(spec, journal, to=STEPS), trainer=trainer, job="job_2")
    assert same_steps((journal, output), cold)
    again = counted((journal, output))[1] - ROWS
    after = stored(room.cache / "teacher")
    whole = [key for key in good if after[key] == good[key]]
    assert again == len(whole) >= 4, "what was read since was computed again, and its file replaced"


def broken_store(blob_server: BlobServer, *, status: int) -> None:
    """The teacher cache's routes alone answer with this."""

    def fail(request: Any) -> bool:
        if not request.path.startswith(CACHE):
            return False
        _answer(request, status, b"{}")
        return True

    blob_server._fail = fail  # type: ignore[method-assign]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_failing_store_fails_no_run(
    status: int, new_room: Any, spec: dict[str, Any], blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_module, "FIRST_WAIT_S", 0.001)
    cold = run(new_room(), spec)
    broken_store(blob_server, status=status)
    other = run(new_room(), spec)
    assert same_steps(other, cold) and counted(other) == counted(cold)


def test_a_lying_store_changes_no_run(new_room: Any, spec: dict[str, Any], blob_server: BlobServer) -> None:
    """Whole entries, each under another's key."""
    cold = run(new_room(), spec)
    assert waits_for(lambda: len(blob_server.cached) == ROWS)
    keys = sorted(blob_server.cached)
    values = [blob_server.cached[key] for key in keys]
    blob_server.cached = dict(zip(keys, [*values[1:], values[0]], strict=True))
    other = run(new_room(), spec)
    assert same_steps(other, cold) and counted(other) == counted(cold)


def test_another_worker_goes_on_with_what_was_shared(
    new_room: Any,
    spec: dict[str, Any],
    blob_server: BlobServer,
    no_teacher: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run whose worker died in its second epoch: its last step is taken elsewhere without the teacher."""
    straight = run(new_room(), spec)
    monkeypatch.setattr(checkpoints, "RESUME_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "UPLOAD_SHARE", 0.0)
    journal = Journal()
    first = new_room()
    train(first, journal, runs.payload(spec, to=5))
    assert waits_for(lambda: len(blob_server.cached) == ROWS)
    no_teacher()
    output = train(new_room(), journal, runs.continuing(spec, journal, to=STEPS), job="job_2")
    assert same_steps((journal, output), straight)


def test_runs_of_one_teacher_share_its_entries(new_room: Any, spec: dict[str, Any]) -> None:
    """Another order and objective change no entry; another teacher's are apart."""
    room = new_room()
    run(room, spec)
    other = {**spec, "seed": 41, "objective": FORWARD_KL}
    assert counted(run(replace(new_room(), cache=room.cache), other))[1] == 0
    gpt2 = {**spec, "teacher": json.loads(ref("gpt2").model_dump_json())}
    assert counted(run(replace(new_room(), cache=room.cache), gpt2))[1] == ROWS
    assert len(stored(room.cache / "teacher")) == 2 * ROWS


def test_a_step_reads_stored_bytes_only(
    new_room: Any, spec: dict[str, Any], blob_server: BlobServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was just computed goes through its bytes: spoil the tensors once they are written and no step changes."""
    cold = run(new_room(), spec)

    def write_and_spoil(entry: Entry, *, key: str) -> bytes:
        data = write_entry(entry, key=key)
        with torch.inference_mode():
            entry.states_ND.fill_(float("nan"))
            entry.logsumexp_N.fill_(float("nan"))
            entry.argmax_N.fill_(0)
        return data

    monkeypatch.setattr("understudy_worker.teacher.write_entry", write_and_spoil)
    broken_store(blob_server, status=404)
    spoilt = run(new_room(), spec)
    assert same_steps(spoilt, cold) and counted(spoilt)[1] == ROWS


def test_the_layers_see_one_sequence_at_a_time(
    new_room: Any, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small models give the same bits to packed sequences, larger ones need not: so it is counted."""
    seen: list[Sequence[Tokens]] = []

    def watched(body: nn.Module, sequences: Sequence[Tokens]) -> Tensor:
        seen.append(sequences)
        return response_states(body, sequences)

    monkeypatch.setattr("understudy_worker.teacher.response_states", watched)
    run(new_room(), spec)
    assert [len(sequences) for sequences in seen] == [1] * ROWS
    assert len({sequences[0] for sequences in seen}) == ROWS, "each once"
