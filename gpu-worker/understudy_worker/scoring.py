"""Log-probabilities of given responses under teacher and student, token by token, in nats and fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from understudy_worker.decoding import ROW_TOKENS, read
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens, response_targets
from understudy_worker.jobs import Job
from understudy_worker.losses import teacher_logprobs
from understudy_worker.models import LoadedModel, Models
from understudy_worker.prefixes import Tree
from understudy_worker.teacher import Hits, TeacherChunk
from understudy_worker.teacher_cache import Keys, TeacherCache, config_digest
from understudy_worker.token_logprobs import Asked, token_logprobs
from understudy_worker.tokens import tokens_of
from understudy_worker.turns import TURN
from understudy_worker.wire import ScoredResponse, ScoreOutput, ScorePayload, TeacherCacheUse


@torch.inference_mode()
def logprobs(
    loaded: LoadedModel, groups: Sequence[Sequence[Tokens]], *, tick: Callable[[], None]
) -> list[list[list[float]]]:
    """log p(y_t | x, y_<t) for each response token of each sequence of each group.

    What the sequences of a group begin with is read once, and groups are read side by side, without padding. A
    sequence that is read alone has the very numbers of transformers' own forward in fp32; in company they differ by
    rounding, at most 2.5e-5 nats a token on SmolLM2, where fp32 itself is 3.1e-5 from fp64 (measured on 48 responses).
    """
    found: list[list[list[float]]] = []
    for row in _rows(groups):
        with TURN:
            tree = Tree.of(*([tokens.ids for tokens in group] for group in row))
            states_LD = read(loaded, tree)
            sequences = [tokens for group in row for tokens in group]
            asked = [
                Asked(row=place, token=token)
                for number, tokens in enumerate(sequences)
                for place, token in zip(tree.places(number)[tokens.prompt_length - 1 :], tokens.response, strict=False)
            ]
            values = iter(token_logprobs(loaded.head, states_LD, asked, likeliest=0))
        found += [[[next(values).logprob for _ in tokens.response] for tokens in group] for group in row]
        tick()
    return found


def _rows(groups: Sequence[Sequence[Tokens]]) -> Iterator[list[Sequence[Tokens]]]:
    """The groups of each row; a longer one goes alone."""
    row: list[Sequence[Tokens]] = []
    length = 0
    for group in groups:
        tokens = len(Tree.of([one.ids for one in group]).ids)
        if row and length + tokens > ROW_TOKENS:
            yield row
            row, length = [], 0
        row.append(group)
        length += tokens
    if row:
        yield row


def score_tokens(
    teacher: LoadedModel,
    student: LoadedModel,
    groups: Sequence[Sequence[Tokens]],
    *,
    known: Known | None = None,
    tick: Callable[[], None],
) -> tuple[list[list[ScoredResponse]], list[Hits]]:
    """Both models' log-probabilities of the same tokens, and of each group how many the teacher's cache had."""
    by_teacher, hits = _with_known(teacher, groups, known, tick=tick)
    by_student = by_teacher if student is teacher else logprobs(student, groups, tick=tick)
    scored = [
        [
            ScoredResponse(
                token_ids=list(tokens.response),
                token_texts=[str(student.tokenizer.decode([token])) for token in tokens.response],
                teacher_logprobs=teacher_values,
                student_logprobs=student_values,
            )
            for tokens, teacher_values, student_values in zip(group, *values, strict=True)
        ]
        for group, *values in zip(groups, by_teacher, by_student, strict=True)
    ]
    return scored, hits


@dataclass(frozen=True)
class Known:
    """What frozen teachers have computed for one project (`teacher_cache`): a run's teacher need not read again what is
    scored of its data. A score adds nothing to it, since an entry is computed alone and a score is not."""

    cache: TeacherCache
    fingerprint: str

    def logprobs(self, teacher: LoadedModel, tokens: Tokens) -> list[float] | None:
        """Of the response, within 1e-5 nats a token of what `logprobs` would give a sequence alone."""
        keys = Keys(
            weights_digest=teacher.weights_digest,
            config_digest=config_digest(teacher.config),
            tokenizer_digest=teacher.tokenizer_digest,
            dtype="float32",
            fingerprint=self.fingerprint,
        )
        entry = self.cache.get(keys.of(tokens))
        if entry is None:
            return None
        targets_N = response_targets([tokens], device=teacher.model.device)
        values: list[float] = teacher_logprobs(TeacherChunk.of([entry], teacher.head), targets_N).tolist()
        return values


def _with_known(
    teacher: LoadedModel, groups: Sequence[Sequence[Tokens]], known: Known | None, *, tick: Callable[[], None]
) -> tuple[list[list[list[float]]], list[Hits]]:
    """`logprobs`, where what is known is not computed again."""
    found = [[known.logprobs(teacher, tokens) if known else None for tokens in group] for group in groups]
    missing = [
        [tokens for tokens, values in zip(group, there, strict=True) if values is None]
        for group, there in zip(groups, found, strict=True)
    ]
    computed = iter(logprobs(teacher, [group for group in missing if group], tick=tick))
    values: list[list[list[float]]] = []
    for group, there in zip(missing, found, strict=True):
        new = iter(next(computed) if group else [])
        values.append([next(new) if one is None else one for one in there])
    hits = [Hits(hits=len(there) - len(group), misses=len(group)) for group, there in zip(missing, found, strict=True)]
    return values, hits


class Reader(Protocol):
    """What a model reads with."""

    @property
    def tokenizer_digest(self) -> str: ...

    @property
    def context_length(self) -> int: ...


def shared_context(teacher: Reader, student: Reader) -> int:
    """Tokens that both models can read, and a check that they read them alike."""
    if teacher.tokenizer_digest != student.tokenizer_digest:
        raise WorkerError(
            "tokenizer_mismatch", "teacher and student have different tokenizers; scores would not compare"
        )
    return min(teacher.context_length, student.context_length)


@dataclass(frozen=True, eq=False)
class Scoring:
    """One caller's request for scores; a group of sequences is the responses to one prompt."""

    teacher: LoadedModel
    student: LoadedModel
    groups: tuple[tuple[Tokens, ...], ...]

    @classmethod
    def of(cls, payload: ScorePayload, job: Job, models: Models) -> Scoring:
        """Raises WorkerError for what cannot be scored."""
        job.advance("loading", total=2)
        teacher = models.get(payload.teacher, tick=job.advance)
        job.advance(done=1)
        student = models.get(payload.student, tick=job.advance)
        limit = shared_context(teacher, student)
        groups = tuple(
            tuple(
                tokens_of(student, item.prompt, response, template=payload.template, max_length=limit)
                for response in item.responses
            )
            for item in payload.items
        )
        job.advance("working")
        return cls(teacher=teacher, student=student, groups=groups)


def score(asked: Sequence[Scoring], *, known: Known, tick: Callable[[], None]) -> list[ScoreOutput]:
    """The answers to requests of one project and the same two models, computed together."""
    groups = [group for one in asked for group in one.groups]
    scored, hits = score_tokens(asked[0].teacher, asked[0].student, groups, known=known, tick=tick)
    answers = iter(zip(scored, hits, strict=True))
    outputs = []
    for one in asked:
        own = [next(answers) for _ in one.groups]
        cached = sum((hits for _, hits in own), Hits())
        outputs.append(
            ScoreOutput(
                kind="score",
                items=[responses for responses, _ in own],
                tokens=sum(len(tokens.response) for group in one.groups for tokens in group),
                teacher_cache=TeacherCacheUse(hits=cached.hits, misses=cached.misses),
            )
        )
    return outputs
