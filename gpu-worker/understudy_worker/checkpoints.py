"""Checkpoints (weights that transformers loads) and resume states (weights and optimizer), stored off the step's path.

Both are copied in memory between two steps, then written and uploaded by a thread of their own. A span's `result`
waits for them, so that they carry the fence of the lease that made them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from understudy_worker.blobs import Blobs
from understudy_worker.digests import tensors_digest
from understudy_worker.errors import Abandoned, WorkerError
from understudy_worker.jobs import Job
from understudy_worker.optimizer import WEIGHTS, optimizer_tensors, restore_optimizer
from understudy_worker.sharding import like
from understudy_worker.step import RunState
from understudy_worker.wire import CheckpointDone, FileRef, ResumeStateDone, StoredState

if TYPE_CHECKING:
    from understudy_worker.engine import Engine

# A crash replays at most this much work, in seconds ...
RESUME_EVERY_S = 60.0
# ... unless storing takes long: then a twentieth of the time goes to it.
UPLOAD_SHARE = 20.0
# Storing beside training, bytes a second, until a run's first upload has been timed: measured on two cores.
ASSUMED_UPLOAD_RATE = 50e6

STATE_FILE = "state.safetensors"


def expected_upload_s(parameters: int) -> float:
    """Seconds that a run's first resume state will take: weights and both AdamW moments in fp32."""
    return 12 * parameters / ASSUMED_UPLOAD_RATE


def state_tensors(state: RunState) -> Iterator[tuple[str, Tensor]]:
    """What a run is resumed from: what training changes as `weights/<name>`, and the optimizer's state."""
    for name, tensor in state.student.own_tensors():
        yield f"{WEIGHTS}/{name}", tensor
    yield from optimizer_tensors(state.student, state.optimizer)


@dataclass(frozen=True)
class ResumeState:
    """What a run continues from: after `step` steps, whose chain ends in `hash`."""

    step: int
    hash: str
    tensors: dict[str, Tensor]


# Of a blob that is gone, or is another: trying again finds the same.
LOST = ("blob_refused", "blob_corrupt")


def fetch(stored: StoredState, *, blobs: Blobs, tick: Callable[[], None]) -> ResumeState:
    """A stored resume state, verified. `resume_state_corrupt`: it is missing or broken; the pool names an older one."""
    try:
        return _fetch(stored, blobs=blobs, tick=tick)
    except SafetensorError as error:
        reason = f"not safetensors: {error}"
    except WorkerError as error:
        if error.code not in LOST:
            raise
        reason = str(error)
    raise _corrupt(f"the resume state at step {stored.step} cannot be read: {reason}")


def _corrupt(reason: str) -> WorkerError:
    return WorkerError("resume_state_corrupt", reason, retryable=True)


def _fetch(stored: StoredState, *, blobs: Blobs, tick: Callable[[], None]) -> ResumeState:
    with tempfile.TemporaryDirectory(prefix="understudy-resume-") as folder:
        path = Path(folder) / STATE_FILE
        blobs.get_file(_state_file(stored), path, on_part=lambda _: tick())
        with safe_open(path, framework="pt") as file:
            # copies: the file goes
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = file.metadata()
    if tensors_digest(tensors.items(), on_tensor=tick) != stored.sha256:
        raise _corrupt(f"the resume state at step {stored.step} has other tensors")
    return ResumeState(stored.step, metadata["hash"], tensors)


@torch.no_grad()
def restore(state: RunState, found: ResumeState) -> None:
    """Put a resume state into a freshly loaded run."""
    for name, tensor in state.student.own_tensors():
        tensor.copy_(like(tensor, found.tensors[f"{WEIGHTS}/{name}"]))
    restore_optimizer(state.student, state.optimizer, step=found.step, tensors=found.tensors)
    state.head, state.head_hash = found.step, found.hash


def _state_file(stored: StoredState) -> FileRef:
    if [file.name for file in stored.files] != [STATE_FILE]:
        raise _corrupt(f"a resume state is one file named {STATE_FILE}")
    return stored.files[0]


class Uploads:
    """The stores of one lease, one after another on one thread. Leaving the block waits for them; their errors are
    raised by `wait`."""

    def __init__(self, job: Job, *, run: str, lineage: int, engine: Engine) -> None:
        self._job = job
        self._run = run
        self._lineage = lineage
        self._engine = engine
        self._blobs = engine.blobs
        self._sources = engine.models.sources
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="upload")
        self._resume: Future[None] | None = None
        self._all: list[Future[None]] = []

    def __enter__(self) -> Uploads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What was copied before the run itself failed is still stored; nobody takes it once the lease is gone.
        self._thread.shutdown(wait=True, cancel_futures=kind is not None and issubclass(kind, Abandoned))

    def wait(self) -> None:
        """Until everything is stored and acknowledged."""
        for future in self._all:
            future.result()

    def checkpoint(self, state: RunState) -> None:
        """Copy the weights now; store them and tell the pool in the background."""
        weights = self._engine.gather(state, "checkpoint")
        adapter = self._engine.gather(state, "adapter")
        student, step = state.student, state.head

        def store() -> None:
            folder = Path(tempfile.mkdtemp(prefix="understudy-checkpoint-", dir=self._sources.scratch()))
            try:
                student.save(folder, weights, adapter)
                self._job.advance()
                files = self._put_all(sorted(path for path in folder.iterdir() if path.is_file()))
                digest = tensors_digest(weights.items(), on_tensor=self._job.advance)
                stored = StoredState(step=step, sha256=digest, parameters=student.parameters, files=files)
                self._job.ask(
                    lambda seq: CheckpointDone(
                        type="checkpoint", seq=seq, job=self._job.lease.job, run=self._run, fence=self._job.fence,
                        lineage=self._lineage, state=stored,
                    )
                )  # fmt: skip
                self._sources.adopt(folder, files)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

        self._all.append(self._thread.submit(store))

    def resume_state_if_due(self, state: RunState) -> None:
        """Copy and store weights and optimizer if the last resume state is old enough and none is under way."""
        due_at = state.resume_at + max(RESUME_EVERY_S, UPLOAD_SHARE * state.upload_s)
        if time.monotonic() >= due_at and (self._resume is None or self._resume.done()):
            self._resume = self._thread.submit(
                self._store_resume, self._engine.gather(state, "resume"), state.head, state.head_hash, state
            )
            self._all.append(self._resume)

    def _store_resume(self, tensors: dict[str, Tensor], step: int, head_hash: str, state: RunState) -> None:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="understudy-resume-", dir=self._sources.scratch()) as folder:
            path = Path(folder) / STATE_FILE
            save_file(tensors, path, metadata={"step": json.dumps(step), "hash": head_hash})
            self._job.advance()
            digest = tensors_digest(tensors.items(), on_tensor=self._job.advance)
            stored = StoredState(
                step=step, sha256=digest, parameters=state.student.parameters, files=self._put_all([path])
            )
        self._job.ask(
            lambda seq: ResumeStateDone(
                type="resume_state", seq=seq, job=self._job.lease.job, run=self._run, fence=self._job.fence,
                lineage=self._lineage, state=stored,
            )
        )  # fmt: skip
        state.resume_at, state.upload_s = time.monotonic(), time.monotonic() - began

    def _put_all(self, paths: list[Path]) -> list[FileRef]:
        return [
            self._blobs.put_file(path, owner=self._run, fence=self._job.fence, on_part=lambda _: self._job.advance())
            for path in paths
        ]
