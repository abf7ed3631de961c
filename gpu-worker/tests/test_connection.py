"""The line to the pool over a real WebSocket: reconnects, resends, lost contact, draining."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import ref
from connected import Worker
from fake_pool import FakePool
from journal import Journal, lease

from understudy_worker.backend import Backend
from understudy_worker.connection import KeyRefused
from understudy_worker.errors import Abandoned
from understudy_worker.jobs import Job, Pipeline
from understudy_worker.wire import (
    Cancel,
    Drain,
    GeneratedItem,
    Items,
    Result,
    ScoreOutput,
    TeacherCacheUse,
)

PAYLOAD = {"kind": "prepare", "model": json.loads(ref("teacher").model_dump_json())}


@pytest.fixture
def worker(pool: FakePool, backend: Backend) -> Iterator[Worker]:
    result = Worker(pool, backend)
    yield result
    result.stop()


def items(job: Job, batch: int) -> Callable[[int], Items]:
    one = GeneratedItem(item="i", seed=1, response="r", finish_reason="stop", num_tokens=1)
    return lambda seq: Items(type="items", seq=seq, job=job.lease.job, fence=job.fence, batch=batch, items=[one])


def result(job: Job) -> Callable[[int], Result]:
    output = ScoreOutput(kind="score", items=[], tokens=0, teacher_cache=TeacherCacheUse(hits=0, misses=0))
    return lambda seq: Result(
        type="result", seq=seq, job=job.lease.job, fence=job.fence, lineage=None, output=output, artifact=None
    )


def test_hello_says_what_is_held(pool: FakePool, worker: Worker) -> None:
    pool.wait(lambda: pool.hellos)
    hello = pool.hellos[0]
    assert (hello.protocol, hello.worker, hello.boot, hello.slots) == (2, "w1", "0" * 32, 1)
    assert hello.leases == [] and hello.runs[0].head == 3


def test_a_lease_from_start_to_result(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    job.advance("working", done=1, total=5)
    pool.wait(lambda: any(tick.tick == 1 and tick.done == 1 for frame in pool.progress for tick in frame.jobs))
    assert job.ask(items(job, 0)).status == "ok"
    assert job.ask(result(job)).status == "ok"
    assert journal.wait_final("job_1").type == "result"
    count = len(pool.progress)
    pool.wait(lambda: len(pool.progress) > count + 2)
    assert pool.progress[-1].jobs == []


def test_the_tick_stands_still_while_the_engine_does(pool: FakePool, worker: Worker) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    worker.job().advance("working")
    pool.wait(lambda: sum(bool(frame.jobs) for frame in pool.progress) > 5)
    assert {tick.tick for frame in pool.progress[-3:] for tick in frame.jobs} == {1}


def test_a_reconnect_keeps_the_lease_and_sends_again(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1", fence=7))
    job = worker.job()
    pool.hold = {"items"}
    waiting = [job.send(items(job, batch)) for batch in (0, 1)]
    pool.wait(lambda: len(journal.of("items")) == 2)
    assert not any(future.done() for future in waiting)
    pool.hold = set()
    pool.cut()
    assert [future.result(60).status for future in waiting] == ["ok", "ok"]
    assert [frame.batch for frame in journal.of("items")] == [0, 1, 0, 1], "in order, with their numbers"
    assert len({frame.seq for frame in journal.of("items")}) == 2
    assert [(held.job, held.fence) for held in pool.hellos[1].leases] == [("job_1", 7)]
    assert pool.hellos[0].boot == pool.hellos[1].boot and not job.dropped


def test_frames_sent_while_disconnected_arrive(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.cut()
    assert job.send(items(job, 0)).result(60).status == "ok"


def test_a_lease_that_is_not_kept_is_abandoned(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.hold, pool.keep = {"items"}, False
    waiting = job.send(items(job, 0))
    pool.wait(lambda: journal.of("items"))
    pool.cut()
    with pytest.raises(Abandoned):
        waiting.result(60)
    with pytest.raises(Abandoned):
        job.advance()
    pool.wait(lambda: len(pool.hellos) == 2)
    assert len(journal.of("items")) == 1


def test_lost_contact_stops_work_while_the_path_looks_open(journal: Journal, backend: Backend) -> None:
    pool = FakePool(journal, contact_ms=2000)
    worker = Worker(pool, backend)
    try:
        pool.lease(lease(PAYLOAD, job="job_1"))
        job = worker.job()
        later = time.monotonic() + 2.5
        pool.wait(lambda: time.monotonic() > later)
        job.check()  # contact was there all along
        pool.muted = True
        waiting = job.send(items(job, 0))
        with pytest.raises(Abandoned):
            waiting.result(60)
        assert job.dropped
        pool.muted = False
        pool.wait(lambda: len(pool.hellos) >= 2 and pool.hellos[-1].leases == [])
    finally:
        worker.stop()
        pool.close()


def test_lost_contact_stops_work_while_disconnected(journal: Journal, backend: Backend) -> None:
    pool = FakePool(journal, contact_ms=500)
    worker = Worker(pool, backend)
    try:
        pool.lease(lease(PAYLOAD, job="job_1"))
        job = worker.job()
        waiting = job.send(items(job, 0))
        assert waiting.result(60).status == "ok"
        pool.close()
        with pytest.raises(Abandoned):
            job.send(items(job, 1)).result(60)
    finally:
        worker.stop()


@pytest.mark.parametrize("status", ["stale_fence", "cancelled", "diverged"])
def test_a_refused_frame_drops_its_lease(pool: FakePool, worker: Worker, journal: Journal, status: Any) -> None:
    journal.scripted["items"] = [(status, None)]
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    with pytest.raises(Abandoned, match=status):
        job.ask(items(job, 0))
    assert job.dropped
    pool.lease(lease(PAYLOAD, job="job_2"))
    assert worker.job(1).lease.job == "job_2", "the slot is free again"


def test_progress_tells_of_a_lost_lease(pool: FakePool, worker: Worker) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.lost = {"job_1"}
    with pytest.raises(Abandoned):
        for _ in range(100):
            job.advance()
            time.sleep(0.02)


def test_cancel(pool: FakePool, worker: Worker) -> None:
    pool.lease(lease(PAYLOAD, job="job_1", fence=2))
    job = worker.job()
    pool.send(Cancel(type="cancel", job="job_1", fence=1))  # of an older lease
    assert job.ask(items(job, 0)).status == "ok"
    pool.hold = {"items"}
    waiting = job.send(items(job, 1))
    pool.send(Cancel(type="cancel", job="job_1", fence=2))
    with pytest.raises(Abandoned):
        waiting.result(60)


def test_every_slot_taken_refuses(pool: FakePool, worker: Worker, journal: Journal) -> None:
    for number in range(2):  # one slot, one request
        pool.lease(lease(PAYLOAD, job=f"job_{number}"))
        worker.job(number)
    pool.lease(lease(PAYLOAD, job="job_2"))
    refused = journal.wait_final("job_2")
    assert refused.type == "refuse" and refused.retryable and "slot" in refused.reason


def test_a_slot_is_free_once_the_result_is_acknowledged(pool: FakePool, worker: Worker, journal: Journal) -> None:
    for number in range(20):
        pool.lease(lease(PAYLOAD, job=f"job_{number}"))
        job = worker.job(number)
        job.ask(result(job))
    assert not journal.of("refuse")


@pytest.mark.parametrize("how", ["drain", "signal"])
def test_leaving_finishes_what_is_in_hand(pool: FakePool, worker: Worker, journal: Journal, how: str) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    if how == "drain":
        pool.send(Drain(type="drain", move_to=None))
    else:
        worker.leave()
    pool.lease(lease(PAYLOAD, job="job_2"))
    assert journal.wait_final("job_2").type == "refuse"
    assert worker.thread.is_alive()
    job.ask(result(job))
    worker.thread.join(60)
    assert worker.ended is None


def test_a_refused_key_ends_the_worker(pool: FakePool, backend: Backend) -> None:
    worker = Worker(pool, backend, key="other")
    worker.thread.join(60)
    assert isinstance(worker.ended, KeyRefused)


def test_a_rejected_frame_is_not_sent_for_ever(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.hold = {"items"}
    waiting = job.send(items(job, 0))
    pool.wait(lambda: journal.of("items"))
    pool.cut(code=1008)
    with pytest.raises(Abandoned):
        waiting.result(60)
    pool.wait(lambda: len(pool.hellos) == 2)
    assert len(journal.of("items")) == 1


def test_a_frame_that_is_too_large_fails_its_job_only(pool: FakePool, worker: Worker) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    one = GeneratedItem(item="i", seed=1, response="x" * 1_100_000, finish_reason="stop", num_tokens=1)
    with pytest.raises(Exception, match="exceeds"):
        job.ask(lambda seq: Items(type="items", seq=seq, job="job_1", fence=1, batch=0, items=[one]))
    assert job.ask(items(job, 1)).status == "ok"


def test_nonsense_from_the_pool_is_ignored(pool: FakePool, worker: Worker) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.send("{}")
    pool.send('{"type": "lease"}')
    assert job.ask(items(job, 0)).status == "ok"


def test_a_pipeline_waits_when_too_much_is_unacknowledged(pool: FakePool, worker: Worker, journal: Journal) -> None:
    pool.lease(lease(PAYLOAD, job="job_1"))
    job = worker.job()
    pool.hold = {"items"}
    sent = Pipeline(job)
    blocked = threading.Event()

    def engine() -> None:
        for batch in range(Pipeline.DEPTH + 1):
            sent.send(items(job, batch))
        blocked.set()

    thread = threading.Thread(target=engine, daemon=True)
    thread.start()
    pool.wait(lambda: len(journal.of("items")) == Pipeline.DEPTH + 1)
    assert not blocked.wait(0.3)
    pool.hold = set()
    pool.cut()
    assert blocked.wait(60)
    thread.join(60)
