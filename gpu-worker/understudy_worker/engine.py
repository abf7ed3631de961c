"""What every rank of a worker does to a run at one time: load it, answer for it, take its steps, give its tensors.

Rank 0 makes these calls for the pool's leases, and leads; the other ranks make them as they hear of them (`serve`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from understudy_worker.blobs import Blobs
from understudy_worker.checkpoints import ResumeState, expected_upload_s, fetch, restore, state_tensors
from understudy_worker.data import Example, Examples, read_rows, tokenise, tokenise_text
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
from understudy_worker.step import RunState, StepOutcome, genesis_hash, take_step
from understudy_worker.student import Student, prepare_student
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.turns import TURN
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
Gathered = Literal["checkpoint", "adapter", "resume"]


@dataclass(frozen=True)
class _Parts:
    """What a run is made of, before its student is dealt to the ranks."""

    student: Student
    examples: Examples
    teacher: FrozenTeacher | None
    reward_model: FrozenTeacher | None
    plain_text: tuple[Example, ...]
    resume: ResumeState | None


class Engine:
    """The runs of this process. `fingerprint` is what bits repeat within."""

    def __init__(self, *, models: Models, blobs: Blobs, cache: TeacherCache, fingerprint: str, ranks: Ranks) -> None:
        self.models = models
        self.blobs = blobs
        self.ranks = ranks
        self._cache = cache
        self._fingerprint = fingerprint

    def serve(self) -> None:
        """Follow rank 0 until it leaves. A WorkerError was raised there too, and is answered there."""
        state: RunState | None = None
        for call, given in self.ranks.follow():
            with suppress(WorkerError):
                if call == "load":
                    state = None
                    payload = TrainPayload.model_validate_json(given["payload"])
                    state = self.load(
                        payload, project=given["project"], lineage=given["lineage"], fence=given["fence"], tick=_nothing
                    )
                    continue
                assert state is not None, "rank 0 loads a run before anything else"
                match call:
                    case "renew":
                        refs = [SamplesRef.model_validate(ref) for ref in given["refs"]]
                        self.renew(state, refs, fence=given["fence"], tick=_nothing)
                    case "answer":
                        self.answer(state, "student", tick=_nothing)
                    case "take":
                        sampled = SampledRows.model_validate(given["sampled"])
                        self.take(state, SamplesRef.model_validate(given["ref"]), sampled)
                    case "step":
                        self.step(state, PlanEntry.model_validate(given["plan"]))
                    case "gather":
                        self.gather(state, given["what"])

    def load(self, payload: TrainPayload, *, project: str, lineage: int, fence: int, tick: Tick) -> RunState:
        """The run at its resume state, or at step 0."""
        spec = payload.spec
        given = {"payload": payload.model_dump_json(by_alias=True), "project": project}
        self.ranks.lead("load", **given, lineage=lineage, fence=fence)
        with self.ranks.together():
            parts = self.ranks.agree(lambda: self._parts(payload, project=project, fence=fence, tick=tick))
            # from here on every rank takes part: each keeps a share of the student
            whole = Whole(parts.student.model, ranks=self.ranks)
            state = RunState(
                run=payload.run, lineage=lineage, spec=spec, student=parts.student, whole=whole, ranks=self.ranks,
                teacher=parts.teacher, reward_model=parts.reward_model,
                optimizer=make_optimizer(parts.student, spec.optimizer), examples=parts.examples,
                plain_text=parts.plain_text, drawn=Drawn(spec, parts.examples), head=0,
                head_hash=genesis_hash(spec, parts.examples.report.digest), resume_at=time.monotonic(),
                upload_s=expected_upload_s(parts.student.parameters),
            )  # fmt: skip
            if parts.resume is not None:
                restore(state, parts.resume)
        state.drawn.learn(payload.samples)
        return state

    def _parts(self, payload: TrainPayload, *, project: str, fence: int, tick: Tick) -> _Parts:
        """What each rank reads for itself."""
        spec = payload.spec
        loaded = self.models.load(spec.student, tick=tick)
        cache = self._cache.of(project)

        def frozen(ref: ModelRef | None) -> FrozenTeacher | None:
            shared = SharedCache(self.blobs, owner=payload.run, fence=fence)
            return None if ref is None else self._frozen(ref, loaded, cache, shared, dtype=spec.dtype, tick=tick)

        parts = _Parts(
            student=prepare_student(loaded, spec=spec),
            examples=tokenise(read_rows(self.blobs.get(spec.data.blob)), loaded, spec=spec, tick=tick),
            teacher=frozen(spec.teacher),
            reward_model=frozen(spec.reward_model),
            plain_text=self._plain_text(spec, loaded, tick),
            resume=fetch(payload.resume, blobs=self.blobs, tick=tick) if payload.resume else None,
        )
        if parts.teacher is None and needs_teacher(spec.objective):
            raise WorkerError("teacher_missing", f"the objective {spec.objective.type} needs a teacher")
        return parts

    def _frozen(
        self, ref: ModelRef, student: LoadedModel, cache: TeacherCache, shared: SharedCache, *, dtype: str, tick: Tick
    ) -> FrozenTeacher:
        teacher = FrozenTeacher(
            ref, models=self.models, cache=cache, shared=shared, dtype=dtype, fingerprint=self._fingerprint,
            tick=self.ranks.quietly(tick),
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
                teacher.renew(fence, tick=self.ranks.quietly(tick))

    def answer(self, state: RunState, source: SamplesSource, *, tick: Tick) -> list[SampledRow]:
        """Draw what the next step's block lacks of this source's answers, whose others are at hand."""
        n, spec = state.head + 1, state.spec
        if source == "teacher":
            # rank 0 alone: no rank's share is needed
            assert spec.teacher is not None, "a run that trains on its teacher's answers has one"
            teacher, drawing = self.models.get(spec.teacher, tick=tick), spec.teacher_sampling
            wanted = state.drawn.missing(n, source)
            return answer(wanted, teacher, how=drawing, max_length=spec.max_length, tick=tick)
        self.ranks.lead("answer")
        with self.ranks.together(), state.student.compute():
            self.ranks.agree(lambda: state.drawn.read(n, blobs=self.blobs))
            wanted, loaded, how = state.drawn.missing(n, source), state.student.loaded, sampling_of(spec)
            assert how is not None, "only objectives with sampling want samples"
            quiet = self.ranks.quietly(tick)
            return state.whole.run(lambda: answer(wanted, loaded, how=how, max_length=spec.max_length, tick=quiet))

    def take(self, state: RunState, ref: SamplesRef, sampled: SampledRows) -> None:
        """Answers that are stored and acknowledged may be read."""
        self.ranks.lead("take", ref=ref.model_dump(mode="json"), sampled=sampled.model_dump(mode="json"))
        state.drawn.take(ref, sampled)

    def step(self, state: RunState, plan: PlanEntry) -> StepOutcome:
        """Take the next step; raises `samples_missing` where its answers are not journaled. In a group OutOfMemory is
        the last that a rank does with the others, who wait in the middle of the step."""
        self.ranks.lead("step", plan=plan.model_dump(mode="json", by_alias=True))
        with self.ranks.together():
            self.ranks.agree(lambda: state.drawn.require(state.head + 1, blobs=self.blobs))
            with TURN:
                return take_step(state, plan=plan)

    def gather(self, state: RunState, what: Gathered) -> dict[str, Tensor]:
        """Copies on the CPU, whole, of what a checkpoint or a resume state holds; empty on ranks that follow."""
        self.ranks.lead("gather", what=what)
        kept = {}
        with self.ranks.together():
            for name, tensor in _named(state, what):
                whole = full(tensor.detach())
                if self.ranks.rank == 0:
                    kept[name] = whole.to("cpu", copy=True)
        return kept

    def state_sha256(self, state: RunState, *, tick: Tick) -> str:
        """SHA-256 over weights and optimizer: equal exactly when two runs ended in the same bits."""
        named = state_tensors(state) if self.ranks.world == 1 else self.gather(state, "resume").items()
        return tensors_digest(named, on_tensor=tick)


def _named(state: RunState, what: Gathered) -> Iterable[tuple[str, Tensor]]:
    match what:
        case "checkpoint":
            return state.student.merged_tensors()
        case "adapter":
            return state.student.adapter_tensors().items()
        case "resume":
            return state_tensors(state)


def _nothing() -> None:
    """A follower has nobody to tell."""
