"""Log-probabilities of given responses under teacher and student, token by token, in nats and fp32.

Shape suffixes: N response positions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens, chunks, response_states, response_targets
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.tokens import tokens_of
from understudy_worker.wire import ScoredResponse, ScoreOutput, ScorePayload

# Response positions for which logits exist at one time: 512 x 50,000 x 4 bytes = 100 MB.
HEAD_CHUNK = 512
# Products of fewer rows take another kernel on CPUs, whose logits differ by 4e-5 (measured: below 16 rows; from 16 to
# 1,100 rows each row's bits are the same).
LEAST_ROWS = 16


@torch.inference_mode()
def logprobs(loaded: LoadedModel, tokens: Tokens) -> list[float]:
    """log p(y_t | x, y_<t) for each response token.

    One sequence at a time, without padding, and with the very operations of transformers' own forward: on SmolLM2 the
    rounding of fp32 is 2e-5 nats a token against fp64 (measured), so only the same kernels agree to 1e-5. Alone, a
    value depends on nothing but its tokens.
    """
    states_ND = response_states(loaded.model.base_model, [tokens])
    targets_N = response_targets([tokens], device=states_ND.device)
    values: list[float] = []
    for chunk in chunks(0, len(targets_N), HEAD_CHUNK):
        logprobs_NV = loaded.head(enough_rows(states_ND[chunk])).log_softmax(dim=1)
        values += logprobs_NV[: len(targets_N[chunk])].gather(1, targets_N[chunk, None])[:, 0].tolist()
    if not all(value > float("-inf") for value in values):  # NaN compares false too
        raise WorkerError(
            "nonfinite_logprob", "the model gives a token probability zero or NaN; its weights are broken"
        )
    return values


def enough_rows(states_ND: Tensor) -> Tensor:
    """The same rows, with zero rows below them up to LEAST_ROWS."""
    return pad(states_ND, (0, 0, 0, max(0, LEAST_ROWS - len(states_ND))))


def score_tokens(
    teacher: LoadedModel, student: LoadedModel, sequences: Sequence[Tokens], *, job: Job
) -> list[ScoredResponse]:
    """Both models' log-probabilities of the same tokens."""
    scored = []
    for number, tokens in enumerate(sequences, start=1):
        by_teacher = logprobs(teacher, tokens)
        by_student = by_teacher if student is teacher else logprobs(student, tokens)
        scored.append(
            ScoredResponse(
                token_ids=list(tokens.response),
                token_texts=[str(student.tokenizer.decode([token])) for token in tokens.response],
                teacher_logprobs=by_teacher,
                student_logprobs=by_student,
            )
        )
        job.advance("working", done=number, total=len(sequences))
    return scored


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
    scored = iter(score_tokens(teacher, student, sequences, job=job))
    items = [[next(scored) for _ in item.responses] for item in payload.items]
    return ScoreOutput(kind="score", items=items, tokens=sum(len(tokens.response) for tokens in sequences))
