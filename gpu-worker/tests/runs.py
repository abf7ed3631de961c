"""Training payloads as the pool would make them."""

from __future__ import annotations

import json
from typing import Any

from blob_server import BlobServer
from journal import Journal

from understudy_worker.wire import SplitRef, TrainPayload

# As the pool plans a new run.
PLAN = {"from": 1, "micro_batch_tokens": None, "head_chunk": 64, "share_prefixes": True}
DPKD = {"type": "dpkd", "beta": 0.5, "kd_ratio": 0.5}
SFT = {"type": "sft"}

COLOURS = ["red", "green", "blue", "dark grey", "the colour of the sky", "white"]


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"row-{index}",
            "split": "train",
            "prompt": f"Name colour number {index}" + " please" * (index % 4),
            "response": COLOURS[index % len(COLOURS)],
            "rejected": None,
            "references": [COLOURS[index % len(COLOURS)]],
        }
        for index in range(count)
    ]


def split_ref(server: BlobServer, data: list[dict[str, Any]]) -> SplitRef:
    blob = server.add("\n".join(json.dumps(row) for row in data).encode())
    return SplitRef(dataset="ds_1", split="train", rows=len(data), blob=blob)


def spec(split: SplitRef, **changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "teacher": _ref("teacher"),
        "student": _ref("student"),
        "data": json.loads(split.model_dump_json()),
        "responses": "data",
        "teacher_sampling": {"max_new_tokens": 8},
        "plain_text": None,
        "reward_model": None,
        "template": "chat",
        "max_prompt_length": 128,
        "max_length": 160,
        "objective": DPKD,
        "optimizer": {"learning_rate": 0.01, "total_steps": 12, "warmup_steps": 2},
        "batch_size": 4,
        "dtype": "float32",
        "lora": None,
        "gradient_checkpointing": False,
        "metrics_every": 5,
        "seed": 40,
        "checkpoint_every": None,
    }
    return {**result, **changes}


def payload(spec: dict[str, Any], **changes: Any) -> TrainPayload:
    result = {
        "kind": "train",
        "run": "run_1",
        "spec": spec,
        "from": 1,
        "to": 12,
        "head_hash": None,
        "plan": [PLAN],
        "rows": None,
        "resume": None,
        "hashes": [],
        "checkpoint_at": [],
        "samples": [],
    }
    return TrainPayload.model_validate_json(json.dumps({**result, **changes}))


def continuing(spec: dict[str, Any], journal: Journal, *, to: int, **changes: Any) -> TrainPayload:
    """What the pool leases next: everything from its journal."""
    head = len(journal.steps)
    resume = journal.resumes[-1].state if journal.resumes else None
    first = resume.step + 1 if resume else 1
    return payload(
        spec,
        **{
            "from": head + 1,
            "to": to,
            "head_hash": journal.steps[head].hash if head else None,
            "rows": json.loads(journal.rows.rows.model_dump_json()) if journal.rows else None,
            "resume": json.loads(resume.model_dump_json()) if resume else None,
            "hashes": journal.hashes(first, head),
            "samples": [json.loads(ref.model_dump_json()) for ref in journal.samples.values()],
            **changes,
        },
    )


def _ref(name: str) -> dict[str, Any]:
    base = {"type": "local", "name": name}
    return {"model": f"model_{name}", "base": base, "layer_indices": None, "weights_digest": None}
