"""TRL's two distillation trainers on the rows of the bench, off-policy, in fp32, without gradient checkpointing.

`options.trainer`: "gkd" is experimental.gkd.GKDTrainer at lmbda = 0, with full logits; "chunked" DistillationTrainer,
whose loss works in tiles, but which always samples its completions: here it is handed the rows' responses instead.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from harness import BETAS, GRAD_CLIP, LEARNING_RATE, Answer, Batch, Meter, Request, adamw, load, serve
from transformers import AutoTokenizer, TrainerCallback
from trl import DistillationConfig, DistillationTrainer
from trl.experimental.gkd import GKDConfig, GKDTrainer


def beta_of(objective: dict[str, Any]) -> float:
    """TRL's beta is the weight of the teacher in the mixture, as `interpolation` is here; at 0 it is forward KL."""
    assert objective["kd_ratio"] == 1, "TRL adds no cross entropy"
    return 0.0 if objective["type"] == "forward_kl" else float(objective["interpolation"])


def shared(request: Request, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": request.work,
        "per_device_train_batch_size": len(request.batches[0]),
        "max_steps": request.warmup + request.steps,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "adam_beta1": BETAS[0],
        "adam_beta2": BETAS[1],
        "max_grad_norm": GRAD_CLIP,
        "beta": beta_of(request.objective),
        "temperature": 1.0,
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        **more,
    }


class Timer(TrainerCallback):
    """A step lasts from its first to its last callback; collating is left out, which favours TRL."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._meter.begin()

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._seconds = time.perf_counter() - self._began

    def on_log(self, *_: Any, **given: Any) -> None:
        if "loss" in given["logs"]:
            self._meter.step(self._seconds, given["logs"]["loss"])

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._meter.end()


class OffPolicy(DistillationTrainer):  # type: ignore[misc]
    """The rows' responses in place of samples: the rest of its step as it is."""

    responses: list[list[int]]

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return prompts, None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *_: Any, **__: Any) -> list[list[int]]:
        taken, self.responses = self.responses[: len(prompt_ids)], self.responses[len(prompt_ids) :]
        return taken


def gkd(request: Request, rows: Batch, parts: dict[str, Any]) -> GKDTrainer:
    data = Dataset.from_list(
        [
            {
                "prompt": "",
                "input_ids": row["prompt"] + row["response"],
                "completion_mask": [0] * len(row["prompt"]) + [1] * len(row["response"]),
            }
            for row in rows
        ]
    )
    return GKDTrainer(args=GKDConfig(**shared(request, lmbda=0.0)), train_dataset=data, **parts)


def chunked(request: Request, rows: Batch, parts: dict[str, Any]) -> DistillationTrainer:
    data = Dataset.from_list([{"prompt": row["prompt"]} for row in rows])
    args = DistillationConfig(**shared(request, shuffle_dataset=False))
    trainer = OffPolicy(args=args, train_dataset=data, **parts)
    trainer.responses = [row["response"] for row in rows]
    return trainer


TRAINERS = {"gkd": gkd, "chunked": chunked}


def side(request: Request) -> Answer:
    folder = Path(request.folder)
    student, teacher = load(folder / "student"), load(folder / "teacher").requires_grad_(False)
    meter = Meter()
    parts = {
        "model": student,
        "teacher_model": teacher,
        "processing_class": AutoTokenizer.from_pretrained(folder / "teacher"),
        "optimizers": (adamw(student), None),
        "callbacks": [Timer(meter)],
    }
    rows = [row for batch in request.batches for row in batch]
    torch.manual_seed(0)
    trainer = TRAINERS[request.options["trainer"]](request, rows, parts)
    trainer.train()
    return meter.answer


if __name__ == "__main__":
    serve(side)
