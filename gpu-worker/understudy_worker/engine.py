"""What every rank of a worker does to a run at one time: load it, answer for it, take its steps, give its tensors.

Rank 0 makes these calls for the pool's leases, and leads; the other ranks make them as they hear of them (`serve`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

from torch import Tensor

from understudy_worker.blobs import Blobs
from understudy_worker.checkpoints import expected_upload_s, restore, state_tensors
from understudy_worker.data import Example, read_rows, tokenise, tokenise_text
from understudy_worker.digests import tensors_digest
from understudy_worker.errors import WorkerError
from understudy_worker.layout import sampling_of
from understudy_worker.models import LoadedModel, Models
from understudy_worker.objectives import needs_teacher
from understudy_worker.optimizer import make_optimizer
from understudy_worker.ranks import Ranks, Whole
from understudy_worker.samples import Drawn, answer
from understudy_worker.scoring import shared_context
from understudy_worker.sharding import full
from understudy_worker.shared_cache import SharedCache
from understudy_worker.step import OutOfMemory, RunState, StepOutcome, genesis_hash, take_step
from understudy_worker.student import prepare_student
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.wire import (
    ModelRef,
    PlanEntry,
    RunSpec,
    SampledRow,
    SampledRows,
    SamplesRef,
    SamplesSource,
    TrainPayload,
)

Tick = Callable[[], None]
Gathered = Literal["checkpoint", "resume"]


class Engine:
    """The runs of this process. `fingerprint` is what bits repeat within."""

    def __init__(self, *, models: Models, blobs: Blobs, cache: TeacherCache, fingerprint: str, ranks: Ranks) -> None:
        self.models = models
        self.blobs = blobs
        self.ranks = ranks
        self._cache = cache
        self._fingerprint = fingerprint

    def serve(self) -> None:
        """Follow rank 0 until it leaves. What goes wrong in a call went wrong there too, and is answered there."""
        state: RunState | None = None
        for call, given in self.ranks.follow():
            with suppress(WorkerError, OutOfMemory):
                if call == "load":
                    state = None
                    payload = TrainPayload.model_validate_json(given["payload"])
                    state = self.load(payload, lineage=given["lineage"], fence=given["fence"], tick=_nothing)
                    continue
                assert state is not None, "rank 0 loads a run before anything else"
                match call:
                    case "renew":
                        refs = [SamplesRef.model_validate(ref) for ref in given["refs"]]
                        self.renew(state, refs, fence=given["fence"], tick=_nothing)
                    case "answer":
                        self.answer(state, given["source"], tick=_nothing)
                    case "take":
                        sampled = SampledRows.model_validate(given["sampled"])
                        self.take(state, SamplesRef.model_validate(given["ref"]), sampled)
                    case "step":
                        self.step(state, PlanEntry.model_validate(given["plan"]))
                    case "gather":
                        self.gather(state, given["what"])

    def load(self, payload: TrainPayload, *, lineage: int, fence: int, tick: Tick) -> RunState:
        """The run at its resume state, or at step 0."""
        spec = payload.spec
        self.ranks.lead("load", payload=payload.model_dump_json(by_alias=True), lineage=lineage, fence=fence)
        loaded = self.models.load(spec.student, tick=tick)
        student = prepare_student(loaded, spec=spec)
        examples = tokenise(read_rows(self.blobs.get(spec.data.blob)), loaded, spec=spec, tick=tick)
        whole = Whole(student.model, ranks=self.ranks)
        state = RunState(
            run=payload.run, lineage=lineage, spec=spec, student=student, whole=whole, ranks=self.ranks,
            teacher=self._frozen(spec.teacher, payload.run, loaded, dtype=spec.dtype, fence=fence, tick=tick),
            reward_model=self._frozen(spec.reward_model, payload.run, loaded, dtype=spec.dtype, fence=fence, tick=tick),
            optimizer=make_optimizer(student, spec.optimizer), examples=examples,
            plain_text=self._plain_text(spec, loaded, tick), drawn=Drawn(spec, examples), head=0,
            head_hash=genesis_hash(spec, examples.report.digest), resume_at=time.monotonic(),
            upload_s=expected_upload_s(student.parameters),
        )  # fmt: skip
        if state.teacher is None and needs_teacher(spec.objective):
            raise WorkerError("teacher_missing", f"the objective {spec.objective.type} needs a teacher")
        if payload.resume is not None:
            restore(state, payload.resume, blobs=self.blobs, tick=tick)
        state.drawn.learn(payload.samples)
        return state

    def _frozen(
        self, ref: ModelRef | None, run: str, student: LoadedModel, *, dtype: str, fence: int, tick: Tick
    ) -> FrozenTeacher | None:
        if ref is None:
            return None
        shared = SharedCache(self.blobs, owner=run, fence=fence)
        teacher = FrozenTeacher(
            ref, models=self.models, cache=self._cache, shared=shared, dtype=dtype, fingerprint=self._fingerprint,
            tick=tick,
        )  # fmt: skip
        shared_context(teacher, student)
        return teacher

    def _plain_text(self, spec: RunSpec, loaded: LoadedModel, tick: Tick) -> tuple[Example, ...]:
        if spec.plain_text is None:
            return ()
        rows = read_rows(self.blobs.get(spec.plain_text.data.blob))
        return tokenise_text(rows, loaded, limit=min(spec.max_length, loaded.context_length), tick=tick)

    def renew(self, state: RunState, refs: Iterable[SamplesRef], *, fence: int, tick: Tick) -> None:
        """A new lease: which answers the pool has journaled, the fence under which caches are shared, whom to tell."""
        refs = list(refs)
        self.ranks.lead("renew", refs=[ref.model_dump(mode="json") for ref in refs], fence=fence)
        state.drawn.learn(refs)
        for teacher in (state.teacher, state.reward_model):
            if teacher is not None:
                teacher.renew(fence, tick=tick)

    def answer(self, state: RunState, source: SamplesSource, *, tick: Tick) -> list[SampledRow]:
        """Draw what the next step's block lacks of this source's answers."""
        self.ranks.lead("answer", source=source)
        n, spec = state.head + 1, state.spec
        state.drawn.read(n, blobs=self.blobs)
        wanted = state.drawn.missing(n, source)
        if source == "teacher":
            assert spec.teacher is not None, "a run that trains on its teacher's answers has one"
            teacher = self.models.get(spec.teacher, tick=tick)
            return answer(wanted, teacher, how=spec.teacher_sampling, max_length=spec.max_length, tick=tick)
        how = sampling_of(spec)
        assert how is not None, "only objectives with sampling want samples"
        loaded = state.student.loaded
        with state.student.compute():
            return state.whole.run(lambda: answer(wanted, loaded, how=how, max_length=spec.max_length, tick=tick))

    def take(self, state: RunState, ref: SamplesRef, sampled: SampledRows) -> None:
        """Answers that are stored and acknowledged may be read."""
        self.ranks.lead("take", ref=ref.model_dump(mode="json"), sampled=sampled.model_dump(mode="json"))
        state.drawn.take(ref, sampled)

    def step(self, state: RunState, plan: PlanEntry) -> StepOutcome:
        """Take the next step; raises `samples_missing` where its answers are not journaled."""
        self.ranks.lead("step", plan=plan.model_dump(mode="json", by_alias=True))
        state.drawn.require(state.head + 1, blobs=self.blobs)
        return take_step(state, plan=plan)

    def gather(self, state: RunState, what: Gathered) -> dict[str, Tensor]:
        """Copies on the CPU, whole, of what a checkpoint or a resume state holds; empty on ranks that follow."""
        self.ranks.lead("gather", what=what)
        named = state.student.merged_tensors() if what == "checkpoint" else state_tensors(state)
        kept = {}
        for name, tensor in named:
            whole = full(tensor.detach())
            if self.ranks.rank == 0:
                kept[name] = whole.to("cpu", copy=True)
        return kept

    def state_sha256(self, state: RunState, *, tick: Tick) -> str:
        """SHA-256 over weights and optimizer: equal exactly when two runs ended in the same bits."""
        named = state_tensors(state) if self.ranks.world == 1 else self.gather(state, "resume").items()
        return tensors_digest(named, on_tensor=tick)


def _nothing() -> None:
    """A follower has nobody to tell."""
