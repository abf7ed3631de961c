"""One optimizer step: a pure function of the run's state, the step's number and its plan, down to the bits.

Shape suffixes: N response positions of a micro-batch, D hidden size, V vocabulary.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from understudy_worker.data import Example, Examples, batch_indices, micro_batches
from understudy_worker.digests import json_digest
from understudy_worker.errors import WorkerError
from understudy_worker.forward import chunks, response_states, response_targets
from understudy_worker.models import LoadedModel
from understudy_worker.objectives import REGISTRY
from understudy_worker.optimizer import learning_rate, set_learning_rate
from understudy_worker.wire import PlanEntry, RunSpec, StepMetrics

# No objective here draws samples; the chain keeps their place.
NO_SAMPLES = hashlib.sha256(b"").hexdigest()


@dataclass(eq=False)
class RunState:
    """A run in memory: a cache of the pool's journal. `sound` is False while the weights are being written."""

    run: str
    lineage: int
    spec: RunSpec
    student: LoadedModel
    teacher: LoadedModel | None
    optimizer: torch.optim.Optimizer
    examples: Examples
    head: int
    head_hash: str
    resume_at: float
    # Seconds that the last resume state took to store; expected ones before the first.
    upload_s: float
    sound: bool = True


@dataclass(frozen=True)
class StepOutcome:
    n: int
    prev: str
    hash: str
    metrics: StepMetrics


class OutOfMemory(Exception):
    """The micro-batch that did not fit."""

    def __init__(self, *, rows: int, tokens: int) -> None:
        super().__init__(f"{rows} rows, {tokens} tokens")
        self.rows = rows
        self.tokens = tokens


def genesis_hash(spec: RunSpec, rows_digest: str) -> str:
    """What the chain of steps begins with."""
    return json_digest({"spec": spec.model_dump(mode="json", by_alias=True), "rows": rows_digest})


def plan_at(plan: list[PlanEntry], n: int) -> PlanEntry:
    """The entry in force at step n: the last that begins at or before it."""
    return max((entry for entry in plan if entry.from_ <= n), key=lambda entry: entry.from_)


def take_step(state: RunState, *, plan: PlanEntry) -> StepOutcome:
    """Advance the state by one step. OutOfMemory, and `nonfinite_loss` naming the rows, leave the state intact."""
    began = time.monotonic()
    n = state.head + 1
    spec = state.spec
    row_ids = tuple(example.row for example in state.examples.kept)
    indices = batch_indices(row_ids, seed=spec.seed, n=n, batch_size=spec.batch_size)
    micros = micro_batches([state.examples.kept[index] for index in indices], tokens=plan.micro_batch_tokens)
    count = sum(len(example.tokens.response) for micro in micros for example in micro)
    sums = accumulate(state, micros, n=n, count=count, head_chunk=plan.head_chunk)
    grad_norm = clip(state.student.model, spec.optimizer.grad_clip)
    if not torch.isfinite(torch.tensor(grad_norm)):
        raise _nonfinite("gradient", n, [example for micro in micros for example in micro])
    rate = learning_rate(n, spec.optimizer)
    set_learning_rate(state.optimizer, rate)
    state.sound = False
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    prev, loss = state.head_hash, sums["loss"] / count
    state.head, state.head_hash = n, _chain(prev, n, plan, micros, loss, grad_norm)
    state.sound = True
    seconds = time.monotonic() - began
    metrics = _metrics(sums, count=count, grad_norm=grad_norm, rate=rate, seconds=seconds)
    return StepOutcome(n=n, prev=prev, hash=state.head_hash, metrics=metrics)


def accumulate(
    state: RunState, micros: list[list[Example]], *, n: int, count: int, head_chunk: int
) -> dict[str, float]:
    """Gradients of `loss sum / count` over every micro-batch, left in the parameters; the sums of loss and metrics."""
    model = state.student.model
    model.train()
    state.optimizer.zero_grad(set_to_none=True)
    totals: Counter[str] = Counter()
    try:
        for micro in micros:
            # Dropout's numbers depend on the step and the rows alone: nothing is carried over or saved.
            torch.manual_seed(_dropout_seed(state.spec.seed, n, micro))
            sums = _guarded(state, micro, count=count, head_chunk=head_chunk)
            if not all(value == value and abs(value) != float("inf") for value in sums.values()):
                raise _nonfinite("loss", n, micro)
            totals.update(sums)
    except BaseException:
        state.optimizer.zero_grad(set_to_none=True)
        raise
    finally:
        model.train(False)
    return dict(totals)


def _guarded(state: RunState, micro: list[Example], *, count: int, head_chunk: int) -> dict[str, float]:
    try:
        return _micro_batch(state, micro, count=count, head_chunk=head_chunk)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    longest = max(len(example.tokens) for example in micro)
    raise OutOfMemory(rows=len(micro), tokens=longest * len(micro))


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has a class for it, CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _micro_batch(state: RunState, micro: list[Example], *, count: int, head_chunk: int) -> dict[str, float]:
    """Forward and backward of one micro-batch. The output matrix is applied to a chunk of positions at a time, and
    each chunk's backward runs before the next, so that logits exist for `head_chunk` positions only."""
    objective = REGISTRY[state.spec.objective.type]
    tokens = [example.tokens for example in micro]
    length = max(len(sequence) for sequence in tokens)
    teacher_ND = None
    if state.teacher is not None and objective.NEEDS_TEACHER:
        with torch.inference_mode():
            teacher_ND = response_states(state.teacher.model, tokens, length=length)
    states_ND = response_states(state.student.model, tokens, length=length)
    leaf_ND = states_ND.detach().requires_grad_()
    targets_N = response_targets(tokens, device=states_ND.device)
    sums: dict[str, Tensor] = {}
    for chunk in chunks(len(targets_N), head_chunk):
        teacher_NV = None
        if teacher_ND is not None and state.teacher is not None:
            # no_grad, not inference mode: autograd saves these beside the student's
            with torch.no_grad():
                teacher_NV = state.teacher.head(teacher_ND[chunk].clone())
        loss, metrics = objective.token_terms(
            state.student.head(leaf_ND[chunk]), teacher_NV, targets_N[chunk], spec=state.spec.objective
        )
        (loss / count).backward()
        for name, value in {"loss": loss.detach(), **metrics}.items():
            sums[name] = sums[name] + value.double() if name in sums else value.double()
    states_ND.backward(leaf_ND.grad)
    return {name: float(value) for name, value in sums.items()}


def clip(model: nn.Module, most: float) -> float:
    """L2 clipping over all trainable parameters together; the norm before clipping."""
    return float(torch.nn.utils.clip_grad_norm_(model.parameters(), most))


def _chain(prev: str, n: int, plan: PlanEntry, micros: list[list[Example]], loss: float, grad_norm: float) -> str:
    """SHA-256 over previous hash, n, plan and layout, samples, and the bits of loss and gradient norm."""
    layout = {
        "micro_batch_tokens": plan.micro_batch_tokens,
        "head_chunk": plan.head_chunk,
        "micro_batches": [[example.row for example in micro] for micro in micros],
    }
    digest = hashlib.sha256()
    digest.update(f"{prev}\n{n}\n{json_digest(layout)}\n{NO_SAMPLES}\n".encode())
    digest.update(struct.pack("<dd", loss, grad_norm))
    return digest.hexdigest()


def _dropout_seed(seed: int, n: int, micro: list[Example]) -> int:
    rows = ",".join(example.row for example in micro)
    return int.from_bytes(hashlib.sha256(f"dropout:{seed}:{n}:{rows}".encode()).digest()[:7], "big")


def _nonfinite(what: str, n: int, examples: list[Example]) -> WorkerError:
    rows = ", ".join(example.row for example in examples[:32])
    return WorkerError(
        "nonfinite_loss",
        f"the {what} of step {n} is not finite, with rows {rows}; lower the learning rate or look at these rows",
    )


def _metrics(sums: dict[str, float], *, count: int, grad_norm: float, rate: float, seconds: float) -> StepMetrics:
    means: dict[str, float | None] = {name: value / count for name, value in sums.items()}
    names = ("loss/lm", "loss/distill", "margin/token_mean", "argmax_agreement")
    unknown = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
    fields = {name: means.get(name) for name in names} | dict.fromkeys(unknown)
    return StepMetrics.model_validate(
        {
            **fields,
            "loss": means["loss"],
            "grad_norm": grad_norm,
            "learning_rate": rate,
            "tokens": count,
            "tokens_per_second": count / seconds,
            "seconds": seconds,
        }
    )
