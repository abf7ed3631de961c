"""Log-probabilities of given responses under teacher and student, token by token, in nats and fp32.

Shape suffixes: N response positions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens, chunks, response_states, response_targets
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.tokens import tokens_of
from understudy_worker.wire import ScoredResponse, ScoreOutput, ScorePayload

# Response positions for which logits exist at one time: 512 x 50,000 x 4 bytes = 100 MB.
HEAD_CHUNK = 512


def pack(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Indices in batches of like lengths whose padded size stays within `budget` tokens (one may exceed it alone)."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (lengths[index], index)):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@torch.inference_mode()
def logprobs(
    loaded: LoadedModel, sequences: Sequence[Tokens], *, budget: int, job: Job | None = None
) -> list[list[float]]:
    """log p(y_t | x, y_<t) for each response token of each sequence, in the order given."""
    result: list[list[float]] = [[] for _ in sequences]
    for batch in pack([len(tokens) for tokens in sequences], budget=budget):
        part = [sequences[index] for index in batch]
        states_ND = response_states(loaded.model, part, length=max(len(tokens) for tokens in part))
        targets_N = response_targets(part, device=states_ND.device)
        values: list[float] = []
        for chunk in chunks(len(targets_N), HEAD_CHUNK):
            logits_NV = loaded.head(states_ND[chunk])
            picked_N = logits_NV.gather(1, targets_N[chunk, None])[:, 0]
            values += (picked_N - logits_NV.logsumexp(dim=1)).tolist()
        for index in batch:
            count = len(sequences[index].response)
            result[index], values = values[:count], values[count:]
        if job is not None:
            job.advance()
    return result


def score_tokens(
    teacher: LoadedModel, student: LoadedModel, sequences: Sequence[Tokens], *, budget: int, job: Job | None = None
) -> list[ScoredResponse]:
    """Both models' log-probabilities of the same tokens."""
    by_teacher = logprobs(teacher, sequences, budget=budget, job=job)
    by_student = by_teacher if student is teacher else logprobs(student, sequences, budget=budget, job=job)
    return [
        ScoredResponse(
            token_ids=list(tokens.response),
            token_texts=[str(student.tokenizer.decode([token])) for token in tokens.response],
            teacher_logprobs=_finite(teacher_values),
            student_logprobs=_finite(student_values),
        )
        for tokens, teacher_values, student_values in zip(sequences, by_teacher, by_student, strict=True)
    ]


def _finite(values: list[float]) -> list[float]:
    if not all(value > float("-inf") for value in values):  # NaN compares false too
        raise WorkerError(
            "nonfinite_logprob", "the model gives a token probability zero or NaN; its weights are broken"
        )
    return values


def shared_context(teacher: LoadedModel, student: LoadedModel) -> int:
    """Tokens that both models can read, and a check that they read them alike."""
    if teacher.tokenizer_digest != student.tokenizer_digest:
        raise WorkerError(
            "tokenizer_mismatch", "teacher and student have different tokenizers; scores would not compare"
        )
    return min(teacher.context_length, student.context_length)


def run(payload: ScorePayload, job: Job, models: Models) -> ScoreOutput:
    """Score every response of every item."""
    job.advance("loading", total=2)
    teacher = models.get(payload.teacher, tick=job.advance)
    job.advance(done=1)
    student = models.get(payload.student, tick=job.advance)
    limit = shared_context(teacher, student)
    sequences = [
        tokens_of(student, item.prompt, response, template=payload.template, max_length=limit)
        for item in payload.items
        for response in item.responses
    ]
    job.advance("working", total=len(sequences))
    scored = iter(score_tokens(teacher, student, sequences, budget=models.backend.forward_tokens, job=job))
    items = [[next(scored) for _ in item.responses] for item in payload.items]
    return ScoreOutput(kind="score", items=items, tokens=sum(len(tokens.response) for tokens in sequences))
