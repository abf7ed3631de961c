"""One optimizer step: a pure function of the run's state, the step's number and its plan, down to the bits."""

from __future__ import annotations

import hashlib
import struct
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy_worker.data import Example, Examples, batch_indices
from understudy_worker.digests import json_digest
from understudy_worker.errors import WorkerError
from understudy_worker.forward import response_states
from understudy_worker.layout import Counts, Part, count, deal, kd_ratio, micro_batches, works
from understudy_worker.losses import Loss, Micro, Sums, Weights
from understudy_worker.memory import OutOfMemory, is_out_of_memory, peak_memory_bytes
from understudy_worker.optimizer import clip, learning_rate, set_learning_rate
from understudy_worker.ranks import Ranks, Whole
from understudy_worker.rewards import rewards
from understudy_worker.samples import Drawn
from understudy_worker.seeded import seeded
from understudy_worker.stopwatch import Phase, Stopwatch
from understudy_worker.student import Student
from understudy_worker.teacher import FrozenTeacher, Hits, TeacherChunk
from understudy_worker.wire import PlanEntry, RunSpec, StepMetrics


@dataclass(eq=False)
class RunState:
    """A run in memory: a cache of the pool's journal. `sound` is False while the weights are being written."""

    run: str
    lineage: int
    spec: RunSpec
    student: Student
    whole: Whole
    ranks: Ranks
    teacher: FrozenTeacher | None
    reward_model: FrozenTeacher | None
    optimizer: torch.optim.Optimizer
    examples: Examples
    plain_text: tuple[Example, ...]
    drawn: Drawn
    head: int
    head_hash: str
    resume_at: float
    # Seconds that the last resume state took to store; expected ones before the first.
    upload_s: float
    # Seconds that the step before was held up by copying what is stored beside training.
    copying_s: float = 0.0
    sound: bool = True


@dataclass(frozen=True)
class StepOutcome:
    n: int
    prev: str
    hash: str
    metrics: StepMetrics


def genesis_hash(spec: RunSpec, rows_digest: str) -> str:
    """What the chain of steps begins with."""
    return json_digest({"spec": spec.model_dump(mode="json", by_alias=True), "rows": rows_digest})


def plan_at(plan: list[PlanEntry], n: int) -> PlanEntry:
    """The entry in force at step n: the last that begins at or before it."""
    return max((entry for entry in plan if entry.from_ <= n), key=lambda entry: entry.from_)


def take_step(state: RunState, *, plan: PlanEntry) -> StepOutcome:
    """Advance the state by one step, whose answers are drawn. OutOfMemory, and `nonfinite_loss` naming the rows, leave
    the state intact."""
    began = time.monotonic()
    n, spec, watch = state.head + 1, state.spec, Stopwatch()
    watch.seconds["upload"] = state.copying_s
    with watch("data"):
        rows = works(spec, _batch(state.examples.kept, spec, n), _plain(state, n), n=n, answers=state.drawn.answers)
        counts = count(rows)
        shares = [micro_batches(share, tokens=plan.micro_batch_tokens) for share in deal(rows, state.ranks.world)]
    step = _Step(state, n=n, counts=counts, plan=plan, watch=watch)
    sums = step.accumulate(shares)
    means = _means(sums, counts, spec)
    with watch("optimizer"):
        grad_norm = clip(state.student, spec.optimizer.grad_clip)
        if not torch.isfinite(torch.tensor(grad_norm)):
            raise _nonfinite("gradient", n, [part for work in rows for part in work])
        rate = learning_rate(n, spec.optimizer)
        set_learning_rate(state.optimizer, rate)
        state.sound = False
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
    prev, samples = state.head_hash, state.drawn.digest(n)
    state.head, state.head_hash = n, _chain(prev, n, plan, shares, samples, means["loss"], grad_norm)
    state.sound = True
    seconds = time.monotonic() - began
    metrics = StepMetrics.model_validate(
        {
            **{name: means.get(name) for name in METRICS},
            "loss": means["loss"],
            "grad_norm": grad_norm,
            "learning_rate": rate,
            "tokens": counts.tokens,
            "tokens_per_second": counts.tokens / seconds,
            "seconds": seconds,
            "phases": {phase: watch.seconds[phase] for phase in PHASES},
            "teacher_cache": {"hits": step.hits.hits, "misses": step.hits.misses},
            "memory_bytes": peak_memory_bytes(),
        }
    )
    return StepOutcome(n=n, prev=prev, hash=state.head_hash, metrics=metrics)


# Null where the step has no such figure.
METRICS = (
    "loss/lm",
    "loss/distill",
    "loss/plain_text",
    "margin/token_mean",
    "argmax_agreement",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "reward/mean",
    "kl/forward",
    "kl/reverse",
    "entropy/teacher",
    "entropy/student",
)
PHASES: tuple[Phase, ...] = ("data", "teacher", "forward", "backward", "optimizer", "upload")


def _batch(kept: Sequence[Example], spec: RunSpec, n: int) -> list[Example]:
    row_ids = tuple(example.row for example in kept)
    return [kept[index] for index in batch_indices(row_ids, seed=spec.seed, n=n, batch_size=spec.batch_size)]


def _plain(state: RunState, n: int) -> list[Example]:
    return _batch(state.plain_text, state.spec, n) if state.plain_text else []


class _Step:
    """Gradients of one step."""

    def __init__(self, state: RunState, *, n: int, counts: Counts, plan: PlanEntry, watch: Stopwatch) -> None:
        self._state = state
        self._n = n
        self._watch = watch
        self.hits = Hits()
        spec = state.spec
        self._share_prefixes = plan.share_prefixes is True and not state.student.drops
        self._weights = _weights(spec, counts, world=state.ranks.world)
        self._broken: list[Part] | None = None
        self._loss = Loss(
            spec.objective,
            head=state.student.head,
            head_chunk=plan.head_chunk,
            diagnose=n % spec.metrics_every == 0,
            watch=watch,
        )

    def accumulate(self, shares: Sequence[list[list[Part]]]) -> Sums:
        """Gradients over every micro-batch of every rank, left in the parameters; the sums of loss terms and metrics.
        A rank with fewer micro-batches than another repeats one that weighs nothing: all take part in every
        exchange."""
        state = self._state
        mine = shares[state.ranks.rank]
        rounds = max(map(len, shares))
        state.student.train(True)
        state.optimizer.zero_grad(set_to_none=True)
        totals: Sums = defaultdict(float)
        try:
            for index in range(rounds):
                parts = mine[index] if index < len(mine) else next(share for share in shares if share)[0]
                state.whole.sync(index == rounds - 1)
                sums = self._guarded(parts, self._weights if index < len(mine) else Weights(0.0, 0.0, 0.0))
                if not all(value == value and abs(value) != float("inf") for value in sums.values()):
                    self._broken = self._broken or parts
                if index < len(mine):
                    for name, value in sums.items():
                        totals[name] += value
            return self._checked(
                state.ranks.total(totals), [part for share in shares for parts in share for part in parts]
            )
        except BaseException:
            state.optimizer.zero_grad(set_to_none=True)
            raise
        finally:
            state.student.train(False)

    def _checked(self, totals: Sums, everything: list[Part]) -> Sums:
        """Raise `nonfinite_loss`, on every rank at once; one that met no broken micro-batch names all."""
        if all(value == value and abs(value) != float("inf") for value in totals.values()):
            return totals
        raise _nonfinite("loss", self._n, self._broken or everything)

    def _guarded(self, parts: list[Part], weights: Weights) -> Sums:
        try:
            return self._micro_batch(parts, weights)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        raise OutOfMemory(rows=len({part.row for part in parts}), tokens=sum(len(part.tokens) for part in parts))

    def _micro_batch(self, parts: list[Part], weights: Weights) -> Sums:
        state, watch = self._state, self._watch
        with watch("teacher"):
            micro = self._beside(parts)

        def compute() -> tuple[Tensor, Sums]:
            with watch("forward"):
                sequences = [part.tokens for part in parts]
                states_ND = response_states(state.student.body, sequences, share_prefixes=self._share_prefixes)
            return self._loss(states_ND, micro, weights=weights)

        # Dropout's numbers depend on the step and the rows alone: nothing is carried over or saved.
        rows = ",".join(part.row for part in parts)
        with seeded(f"dropout:{state.spec.seed}:{self._n}:{rows}"):
            with state.student.compute():
                loss, sums = state.whole.run(compute)
            with watch("backward"):
                loss.backward()
        return sums

    def _beside(self, parts: list[Part]) -> Micro:
        """What the distillation term reads beside the student."""
        state = self._state
        read = [part for part in parts if part.distill is not None]
        teacher = None
        if state.teacher is not None and read:
            entries, hits = state.teacher.entries([part.tokens for part in read])
            self.hits += hits
            teacher = TeacherChunk.of(entries, state.teacher.head)
        rewards_S = None
        if read and read[0].distill == "policy":
            rewards_S = rewards(
                read, teacher, spec=state.spec, tokenizer=state.student.loaded.tokenizer, model=state.reward_model
            )
        return Micro(parts=parts, teacher=teacher, rewards_S=rewards_S)


def _weights(spec: RunSpec, counts: Counts, *, world: int) -> Weights:
    """An empty term weighs nothing. Gradients are averaged over the ranks, so each weighs its sums `world` times."""
    ratio = kd_ratio(spec)
    coef = spec.plain_text.coef if spec.plain_text else 0.0
    return Weights(
        lm=world * (1 - ratio) / max(1, counts.lm),
        plain_text=world * coef / max(1, counts.plain_text),
        distill=world * ratio / max(1, counts.distill),
    )


def _means(sums: Sums, counts: Counts, spec: RunSpec) -> dict[str, float]:
    """Each sum over its own global count, and the loss that is minimised."""
    denominators = {"loss/lm": counts.lm, "loss/plain_text": counts.plain_text, "reward/mean": spec.batch_size}
    means = {name: value / denominators.get(name, counts.distill) for name, value in sums.items()}
    weights = {
        "loss/lm": 1 - kd_ratio(spec),
        "loss/distill": kd_ratio(spec),
        "loss/plain_text": spec.plain_text.coef if spec.plain_text else 0.0,
    }
    return {**means, "loss": sum(weight * means.get(name, 0.0) for name, weight in weights.items())}


def _chain(
    prev: str,
    n: int,
    plan: PlanEntry,
    shares: Sequence[list[list[Part]]],
    samples: str,
    loss: float,
    grad_norm: float,
) -> str:
    """SHA-256 over previous hash, n, plan and layout, samples, and the bits of loss and gradient norm."""
    layout = {
        "micro_batch_tokens": plan.micro_batch_tokens,
        "head_chunk": plan.head_chunk,
        # left out where it is False, as in the hashes of plans from before it was there
        **({"share_prefixes": True} if plan.share_prefixes is True else {}),
        "micro_batches": [[[[part.row, *part.kind] for part in parts] for parts in share] for share in shares],
    }
    digest = hashlib.sha256()
    digest.update(f"{prev}\n{n}\n{json_digest(layout)}\n{samples}\n".encode())
    digest.update(struct.pack("<dd", loss, grad_norm))
    return digest.hexdigest()


def _nonfinite(what: str, n: int, parts: Sequence[Part]) -> WorkerError:
    rows = ", ".join(dict.fromkeys(part.row for part in parts[:32]))
    return WorkerError(
        "nonfinite_loss",
        f"the {what} of step {n} is not finite, with rows {rows}; lower the learning rate or look at these rows",
    )
