"""What a step reads: which sequences, which of their response positions enter which term, and in which micro-batches.

Pure functions of the run's specification, the step's number, its rows and the answers that were drawn for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from understudy_worker.data import Example, wants_rejected
from understudy_worker.forward import Tokens
from understudy_worker.objectives import level
from understudy_worker.wire import RunSpec, Sampling, SeqKdObjective

CrossEntropy = Literal["lm", "plain_text"]
Distill = Literal["token", "chosen", "rejected", "policy"]


@dataclass(frozen=True)
class Part:
    """One sequence of a step, with what its response positions are in the cross entropy and the distillation term."""

    row: str
    tokens: Tokens
    ce: CrossEntropy | None = None
    distill: Distill | None = None
    references: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[bool, str, str]:
        """What is computed alike lies together; what a teacher is needed for comes first."""
        return self.distill is None, self.distill or "", self.ce or ""


# The sequences of one row: a pair is never split between micro-batches.
Work = tuple[Part, ...]


@dataclass(frozen=True)
class Answers:
    """Token ids that were drawn and stored: the student's by place (`(n - 1) * batch_size + index`), the teacher's by
    row."""

    student: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    teacher: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Counts:
    """The step's global denominators: response tokens, tokens of plain text, and positions or pairs of distillation."""

    lm: int
    plain_text: int
    distill: int
    tokens: int


def wants_sample(spec: RunSpec, *, n: int, row: str) -> bool:
    """Whether the student answers this row's prompt for step n."""
    match level(spec.objective):
        case "policy":
            return True
        case "sequence":
            return not wants_rejected(spec)
        case "token":
            return _uniform(spec.seed, n, row) < getattr(spec.objective, "on_policy_fraction", 0)
        case _:
            return False


def sampling_of(spec: RunSpec) -> Sampling | None:
    """How the student answers during the run; None where the objective has no such thing."""
    sampling = getattr(spec.objective, "sampling", None)
    return sampling if isinstance(sampling, Sampling) else None


def wants_teacher_answer(spec: RunSpec) -> bool:
    """Whether the teacher answers each row's prompt, once a run."""
    return spec.responses == "teacher" or isinstance(spec.objective, SeqKdObjective)


def _uniform(seed: int, n: int, row: str) -> float:
    digest = hashlib.sha256(f"on-policy:{seed}:{n}:{row}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def works(
    spec: RunSpec, examples: Sequence[Example], plain: Sequence[Example], *, n: int, answers: Answers
) -> list[Work]:
    """Each row's sequences, in the order of the batch, then the rows of plain text."""
    first = (n - 1) * spec.batch_size
    rows = [_work(spec, example, first + index, n=n, answers=answers) for index, example in enumerate(examples)]
    return rows + [(Part(row=text.row, tokens=text.tokens, ce="plain_text"),) for text in plain]


def _work(spec: RunSpec, example: Example, place: int, *, n: int, answers: Answers) -> Work:
    def answered(ids: tuple[int, ...]) -> Tokens:
        return Tokens(ids=example.prompt + ids, prompt_length=len(example.prompt))

    row, objective = example.row, spec.objective
    response = answered(answers.teacher[row]) if spec.responses == "teacher" else example.tokens
    kind = level(objective)
    if kind == "none":
        return (Part(row=row, tokens=response, ce="lm"),)
    if kind == "sequence":
        rejected = example.rejected if wants_rejected(spec) else answered(answers.student[place])
        assert rejected is not None, "rows without a rejected response are skipped when they are tokenised"
        return Part(row, response, ce="lm", distill="chosen"), Part(row, rejected, distill="rejected")
    if isinstance(objective, SeqKdObjective):
        other = Part(row, answered(answers.teacher[row]), distill="token")
    elif kind == "policy":
        other = Part(row, answered(answers.student[place]), distill="policy", references=example.references)
    elif wants_sample(spec, n=n, row=row):
        other = Part(row, answered(answers.student[place]), distill="token")
    else:
        return (Part(row, response, ce="lm", distill="token"),)
    return (Part(row, response, ce="lm"), other) if kd_ratio(spec) < 1 else (other,)


def kd_ratio(spec: RunSpec) -> float:
    """Weight of the distillation term; sft has none."""
    return float(getattr(spec.objective, "kd_ratio", 0.0))


def count(rows: Sequence[Work]) -> Counts:
    """Denominators over all of a step's sequences, before any of them is computed."""
    parts = [part for work in rows for part in work]

    def tokens(chosen: Iterator[Part]) -> int:
        return sum(len(part.tokens.response) for part in chosen)

    pairs = sum(part.distill == "chosen" for part in parts)
    return Counts(
        lm=tokens(part for part in parts if part.ce == "lm"),
        plain_text=tokens(part for part in parts if part.ce == "plain_text"),
        distill=pairs or tokens(part for part in parts if part.distill is not None),
        tokens=tokens(part for part in parts if part.ce != "plain_text"),
    )


def deal(rows: Sequence[Work], world: int) -> list[list[Work]]:
    """The rows of each of `world` ranks: the longest first, each to the rank that has the fewest tokens; a rank's own
    stay in the order of the batch."""
    sizes = [sum(len(part.tokens) for part in work) for work in rows]
    loads = [0] * world
    hands: list[list[int]] = [[] for _ in range(world)]
    for index in sorted(range(len(rows)), key=lambda index: (-sizes[index], index)):
        rank = loads.index(min(loads))
        loads[rank] += sizes[index]
        hands[rank].append(index)
    return [[rows[index] for index in sorted(hand)] for hand in hands]


def micro_batches(rows: Sequence[Work], *, tokens: int | None) -> list[list[Part]]:
    """Rows in the order of the batch, in micro-batches of at most `tokens` tokens (null: one; a longer row is alone),
    each with its sequences by kind."""
    batches: list[list[Part]] = []
    size = 0
    for work in rows:
        length = sum(len(part.tokens) for part in work)
        if not batches or (tokens is not None and size + length > tokens):
            batches.append([])
            size = 0
        batches[-1] += work
        size += length
    return [sorted(batch, key=lambda part: part.kind) for batch in batches]


def alike(parts: Sequence[Part]) -> Iterator[tuple[Part, slice]]:
    """The runs of sequences of one kind, as their first and the slice of response positions that they take."""
    start = end = 0
    for index, part in enumerate(parts):
        end += len(part.tokens.response)
        if index + 1 == len(parts) or parts[index + 1].kind != part.kind:
            yield part, slice(start, end)
            start = end
