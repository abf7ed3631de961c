"""Token-level DPKD as it is commonly written, apart from the engine: both models forward every padded batch, logits for
every position, and the cross entropy and the distillation loss computed separately.

Shape suffixes: B batch, L longest row, V vocabulary, N response positions.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from harness import GRAD_CLIP, Answer, Batch, Meter, Request, adamw, load, serve
from torch import Tensor

IGNORED = -100


def collate(batch: Batch, *, pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """ids_BL, attention_mask_BL, labels_BL, padded on the right to the longest row."""
    longest = max(len(row["prompt"]) + len(row["response"]) for row in batch)
    ids_BL = torch.full((len(batch), longest), pad_id)
    mask_BL = torch.zeros(len(batch), longest, dtype=torch.long)
    labels_BL = torch.full((len(batch), longest), IGNORED)
    for index, row in enumerate(batch):
        prompt, ids = len(row["prompt"]), torch.tensor(row["prompt"] + row["response"])
        ids_BL[index, : len(ids)] = ids
        mask_BL[index, : len(ids)] = 1
        labels_BL[index, prompt : len(ids)] = ids[prompt:]
    return ids_BL, mask_BL, labels_BL


def dpkd_loss(student_BLV: Tensor, teacher_BLV: Tensor, labels_BL: Tensor, *, beta: float) -> Tensor:
    """`-log sigmoid(beta m)`, the mean over response positions, with y_t = argmax p and y_s = argmax q;
    `m = (log q(y_t) - log q(y_s)) - (log p(y_t) - log p(y_s))` (arXiv 2406.19774, at token level)."""
    log_q = F.log_softmax(student_BLV, dim=-1)
    log_p = F.log_softmax(teacher_BLV, dim=-1)
    y_t = log_p.argmax(dim=-1, keepdim=True)
    y_s = log_q.argmax(dim=-1, keepdim=True)
    policy = (log_q.gather(-1, y_t) - log_q.gather(-1, y_s)).squeeze(-1)
    reference = (log_p.gather(-1, y_t) - log_p.gather(-1, y_s)).squeeze(-1)
    losses_BL = -F.logsigmoid(beta * (policy - reference))
    mask_BL = (labels_BL != IGNORED).to(losses_BL.dtype)
    return (losses_BL * mask_BL).sum() / mask_BL.sum()


def side(request: Request) -> Answer:
    objective = request.objective
    assert objective["type"] == "dpkd"
    folder = Path(request.folder)
    teacher = load(folder / "teacher").eval().requires_grad_(False)
    student = load(folder / "student").train()
    optimizer = adamw(student)
    meter = Meter()
    for batch, done in meter.steps(request.batches):
        ids, mask, labels = collate(batch, pad_id=0)
        with torch.no_grad():
            teacher_logits = teacher(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        logits = student(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
        labels = labels[:, 1:]
        lm = F.cross_entropy(logits.reshape(-1, logits.size(-1)), labels.reshape(-1), ignore_index=IGNORED)
        distill = dpkd_loss(logits, teacher_logits, labels, beta=objective["beta"])
        loss = (1 - objective["kd_ratio"]) * lm + objective["kd_ratio"] * distill
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), GRAD_CLIP)
        optimizer.step()
        done(loss.item())
    return meter.answer


if __name__ == "__main__":
    serve(side)
