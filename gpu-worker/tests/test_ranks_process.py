"""The worker under torchrun: one worker to the pool, which dies with any of its ranks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from fake_pool import FakePool
from front import Front
from group import ROOT, torchrun
from journal import Journal, lease
from precision import Oracle
from test_completions import PROMPTS, alone, payload
from test_step import spec_of
from threads import THREADS

from understudy_worker import memory
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.ranks import Ranks
from understudy_worker.wire import CompleteOutput

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(pool: FakePool, blob_server: BlobServer, folders: dict[str, Path], tmp_path: Path) -> Iterator[Start]:
    front = Front(socket_port=pool.port, http_port=blob_server.port)
    groups: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        options = [
            f"--url=http://127.0.0.1:{front.port}",
            f"--threads={THREADS}",
            "--name=group",
            f"--cache-dir={tmp_path}",
        ]
        models = [f"--models={name}={path}" for name, path in folders.items()]
        group = subprocess.Popen(
            torchrun("-m", "understudy_worker", *models, *options),
            cwd=ROOT,
            env={**os.environ, "UNDERSTUDY_WORKER_KEY": "k"},
        )
        groups.append(group)
        return group

    yield begin
    for group in groups:
        group.terminate()  # its ranks with it
        group.wait(60)
    front.close()


def ranks_of(group: subprocess.Popen[bytes]) -> list[int]:
    """Process ids in the order of the ranks."""
    found = {}
    children = Path(f"/proc/{group.pid}/task/{group.pid}/children").read_text().split()
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().decode()
        if rank := re.search(r"\0RANK=(\d+)\0", environment):
            found[int(rank[1])] = int(child)
    return [found[rank] for rank in sorted(found)]


@pytest.mark.parametrize("victim", [0, 1])
def test_the_death_of_a_rank_is_the_death_of_the_worker_and_a_new_group_goes_on(
    pool: FakePool, start: Start, journal: Journal, blob_server: BlobServer, victim: int
) -> None:
    total = 400
    spec = spec_of(blob_server, "dpkd sequence", optimizer={"learning_rate": 1e-3, "total_steps": total})
    first = start()
    pool.wait(lambda: pool.hellos, seconds=120)
    assert pool.hellos[0].fingerprint.world_size == 2
    pool.lease(lease(runs.payload(spec, to=total), job="job_1", fence=1, lineage=0))
    pool.wait(lambda: len(journal.steps) >= 10, seconds=120)
    os.kill(ranks_of(first)[victim], signal.SIGKILL)
    assert first.wait(60) != 0, "torchrun ends with the group"
    pool.wait(lambda: pool._socket is None)
    reached = len(journal.steps)
    assert 10 <= reached < total and "job_1" not in journal.final, "the death of a rank is no failure of the run"

    second = start()
    pool.wait(lambda: len(pool.hellos) == 2, seconds=120)
    pool.lease(lease(runs.continuing(spec, journal, to=reached + 5), job="job_1", fence=2, lineage=0))
    done: Any = journal.wait_final("job_1", seconds=120)
    assert done.type == "result" and done.output.head == reached + 5
    assert not journal.of("mismatch"), "the new group repeated every hash"

    # the same group goes on with what it holds, and leaves when it is told to
    pool.lease(lease(runs.continuing(spec, journal, to=reached + 6), job="job_2", fence=3, lineage=0))
    assert journal.wait_final("job_2").type == "result"
    os.kill(ranks_of(second)[0], signal.SIGTERM)
    assert second.wait(60) == 0


def same_answer(ours: CompleteOutput, theirs: CompleteOutput) -> None:
    """To the token; of another process the log-probabilities may differ by rounding."""
    for mine, other in zip(ours.choices, theirs.choices, strict=True):
        assert mine.logprobs is not None and other.logprobs is not None
        assert mine.logprobs.token_ids == other.logprobs.token_ids
        assert (mine.item, mine.sample, mine.text, mine.finish_reason) == (
            other.item, other.sample, other.text, other.finish_reason
        )  # fmt: skip


def test_completions_are_answered_while_both_ranks_train_and_change_no_step(
    pool: FakePool, start: Start, journal: Journal, blob_server: BlobServer, room: Room
) -> None:
    """Rank 0 answers them, between its shares of the steps, by a model of its own that no rank has a share of."""
    total = 60
    spec = spec_of(blob_server, "dpkd sequence", optimizer={"learning_rate": 1e-3, "total_steps": total})
    start()
    pool.wait(lambda: pool.hellos, seconds=120)
    pool.lease(lease(runs.payload(spec, to=total), job="job_1", lineage=0))
    pool.wait(lambda: len(journal.steps) >= 3, seconds=120)
    asked = {
        f"job_{model}{n}": payload(
            [prompt], model=json.loads(ref(model).model_dump_json()), seeds=[n, n + 1],
            settings={"temperature": 0.9 * (n % 2), "max_new_tokens": 16}, logprobs=0, stream=n == 0,
        )
        for model in ("teacher", "student")
        for n, prompt in enumerate(PROMPTS)
    }  # fmt: skip
    for job, one in asked.items():
        pool.lease(lease(one, job=job))
    answered: dict[str, Any] = {job: journal.wait_final(job, seconds=120) for job in asked}
    assert 3 <= len(journal.steps) < total and "job_1" not in journal.final, "both ranks are still at it"
    for model in ("teacher", "student"):
        loaded = room.models.get(ref(model), tick=lambda: None)
        compared, mine, theirs = [], [], []
        for n, prompt in enumerate(PROMPTS):
            job = f"job_{model}{n}"
            assert answered[job].type == "result"
            ours, here = answered[job].output, alone(loaded, asked[job])
            same_answer(ours, here)
            ids = loaded.tokenizer.encode(prompt)
            compared += [Tokens((*ids, *choice.logprobs.token_ids), len(ids)) for choice in ours.choices]
            mine += [choice.logprobs.logprobs for choice in ours.choices]
            theirs += [choice.logprobs.logprobs for choice in here.choices if choice.logprobs]
        oracle = Oracle.of(loaded)
        for found in (mine, theirs):
            oracle.assert_as_exact(compared, found)
    streamed = [piece.text for delta in journal.of("delta") if delta.job == "job_teacher0" for piece in delta.pieces]
    assert streamed, "one that streams has its pieces meanwhile"

    assert journal.wait_final("job_1", seconds=120).type == "result"
    disturbed = journal.hashes(1, total)
    journal.steps.clear()
    journal.samples.clear()
    pool.lease(lease(runs.payload(spec, run="run_2", to=total), job="job_2", lineage=0))
    assert journal.wait_final("job_2", seconds=120).type == "result"
    assert journal.hashes(1, total) == disturbed


def test_another_run_takes_the_groups_place_and_a_failed_load_harms_nobody(
    pool: FakePool, start: Start, journal: Journal, blob_server: BlobServer
) -> None:
    start()
    pool.wait(lambda: pool.hellos, seconds=120)
    spec = spec_of(blob_server, "dpkd", optimizer={"learning_rate": 1e-3, "total_steps": 9})
    pool.lease(lease(runs.payload(spec, to=2), job="job_1", lineage=0))
    assert journal.wait_final("job_1", seconds=120).type == "result"
    broken = {**spec, "lora": {"rank": 4, "alpha": 8, "targets": ["nonsense"]}}
    pool.lease(lease(runs.payload(broken, run="run_2", to=2), job="job_2", lineage=0))
    failed: Any = journal.wait_final("job_2")
    assert failed.type == "fail" and failed.code == "invalid_lora"
    coded = {**spec, "optimizer": {**spec["optimizer"], "type": "adamw_8bit"}}
    pool.lease(lease(runs.payload(coded, run="run_3", to=2), job="job_3", lineage=0))
    failed = journal.wait_final("job_3")
    assert failed.type == "fail" and failed.code == "unsupported_optimizer"
    pool.lease(lease(runs.continuing(spec, journal, to=9), job="job_4", lineage=0))
    done: Any = journal.wait_final("job_4")
    assert done.type == "result" and done.output.head == 9 and not journal.of("mismatch")


def test_one_slot_under_torchrun() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "understudy_worker", "--url", "http://x", "--slots", "2"],
        cwd=ROOT,
        env={**os.environ, "UNDERSTUDY_WORKER_KEY": "k", "WORLD_SIZE": "2", "RANK": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 2 and "--slots must be 1 under torchrun" in process.stderr


AGREE = """
import json, sys, torch
from pathlib import Path
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.memory import OutOfMemory
from understudy_worker.ranks import Ranks
from understudy_worker.wire import CompleteOutput
ranks = Ranks.join(torch.device("cpu"))

def fails(on, error):
    def compute():
        if ranks.rank == on:
            raise error
        return 7
    return compute

def outcome(compute):
    try:
        return ranks.agree(compute)
    except (WorkerError, Abandoned) as error:
        return type(error).__name__, getattr(error, "code", None), str(error)

told = [
    outcome(lambda: ranks.rank),
    outcome(fails(1, WorkerError("lost", "no disk", retryable=True))),
    outcome(fails(0, Abandoned("stale"))),
    ranks.total({"a": 1.0 + ranks.rank, "b" if ranks.rank else "c": 0.5}),
]
Path(sys.argv[1], f"told-{ranks.rank}.json").write_text(json.dumps(told))
if sys.argv[2:]:
    with ranks.together():
        if ranks.rank == int(sys.argv[2]):
            raise OutOfMemory(rows=1, tokens=2) if sys.argv[3] == "memory" else ValueError("broken")
        ranks.total({})
ranks.leave() if ranks.rank == 0 else list(ranks.follow()) or ranks.leave()
"""


def agree(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = folder / "agree.py"
    program.write_text(AGREE)
    return subprocess.run(
        torchrun(str(program), str(folder), *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_is_raised_on_one_rank_is_raised_on_all(tmp_path: Path) -> None:
    done = agree(folder=tmp_path)
    assert done.returncode == 0, done.stderr
    totals = {"a": 3.0, "b": 0.5, "c": 0.5}
    expected = [
        [0, ["WorkerError", "lost", "rank 1: no disk"], ["Abandoned", None, "stale"], totals],
        [1, ["WorkerError", "lost", "no disk"], ["WorkerError", "abandoned", "rank 0: stale"], totals],
    ]
    assert [json.loads((tmp_path / f"told-{rank}.json").read_text()) for rank in (0, 1)] == expected


@pytest.mark.parametrize(("rank", "error"), [("0", "broken"), ("1", "broken"), ("1", "memory")])
def test_any_other_error_ends_the_group(tmp_path: Path, rank: str, error: str) -> None:
    done = agree(rank, error, folder=tmp_path)
    assert done.returncode != 0 and f"rank {rank} is out of step" in done.stderr


def test_alone_nothing_is_exchanged() -> None:
    ranks = Ranks()
    assert ranks.agree(lambda: 3) == 3
    with pytest.raises(WorkerError, match="told"):
        ranks.agree(lambda: (_ for _ in ()).throw(WorkerError("x", "told")))
    with pytest.raises(memory.OutOfMemory), ranks.together():
        raise memory.OutOfMemory(rows=1, tokens=2)
    ranks.lead("step", plan={})

    def gone() -> None:
        raise Abandoned("gone")

    with pytest.raises(Abandoned):
        ranks.quietly(gone)()
    Ranks(world=2).quietly(gone)()
    assert Ranks.join(torch.device("cpu")).world == 1
