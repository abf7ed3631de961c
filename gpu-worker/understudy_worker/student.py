"""The student that a run trains: which of its parameters, in which precision, at which price in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from understudy_worker.digests import own_tensors
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Head
from understudy_worker.models import LoadedModel
from understudy_worker.seeded import seeded
from understudy_worker.wire import Lora, RunSpec

# What wraps a linear module that has an adapter: the name of the module inside.
BASE = ".base_layer"
# The one adapter of a student, as peft names it.
ADAPTER = "default"
ALL_LINEAR = "all-linear"


@dataclass(frozen=True, eq=False)
class Student:
    """fp32 weights throughout: bfloat16 is what they are computed in, not what they are."""

    loaded: LoadedModel
    dtype: str
    lora: Lora | None

    @property
    def model(self) -> PreTrainedModel:
        return self.loaded.model

    @property
    def body(self) -> nn.Module:
        """Maps token ids to states."""
        body: nn.Module = self.model.base_model
        return body

    @property
    def head(self) -> Head:
        return self.loaded.head

    @property
    def parameters(self) -> int:
        return self.loaded.parameters

    @cached_property
    def drops(self) -> bool:
        """Whether dropout makes of each sequence's tokens something of its own, in training."""
        return any(
            (isinstance(module, nn.Dropout) and module.p > 0) or getattr(module, "attention_dropout", 0.0) > 0
            for module in self.model.modules()
        )

    def compute(self) -> AbstractContextManager[object]:
        """In which its forward pass runs; log-probabilities and losses are fp32 in any case."""
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16)

    def trainable(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, parameter) for name, parameter in self.model.named_parameters() if parameter.requires_grad]

    def train(self, mode: bool) -> None:
        self.model.train(mode)

    def own_tensors(self) -> list[tuple[str, Tensor]]:
        """What training changes: adapters where it has them, else every weight and saved buffer."""
        return list(self.trainable()) if self.lora else own_tensors(self.model)

    def merged_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The weights as a model without adapters has them: `W + (alpha / rank) B A` where there is one."""
        layers: dict[str, Any] = {
            name: module for name, module in self.model.named_modules() if isinstance(module, LoraLayer)
        }
        for name, tensor in own_tensors(self.model):
            if ".lora_" in name:
                continue
            owner, _, leaf = name.rpartition(".")
            layer = layers.get(owner.removesuffix(BASE))
            if layer is not None and leaf == "weight":
                yield name.replace(BASE, ""), tensor.detach() + layer.get_delta_weight(ADAPTER).detach()
            else:
                yield name.replace(BASE, ""), tensor

    def save(self, folder: Path, weights: dict[str, Tensor], adapter: dict[str, Tensor]) -> None:
        """A folder that transformers loads as it is, from `merged_tensors`; beside it the adapter alone, in peft's
        format under names that transformers does not take for its own."""
        # a copy: transformers empties the dictionary that it is given
        self.model.save_pretrained(folder, state_dict=dict(weights))
        self.loaded.tokenizer.save_pretrained(folder)
        if self.lora is not None:
            save_file({name: tensor.contiguous() for name, tensor in adapter.items()}, folder / "lora.safetensors")
            config: Any = lora_config(self.lora)
            text = json.dumps(config.to_dict(), default=sorted, indent=2)
            (folder / "lora.json").write_text(text)

    def adapter_tensors(self) -> dict[str, Tensor]:
        """As peft's own files name them; empty without adapters."""
        if self.lora is None:
            return {}
        return {f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}": tensor for name, tensor in self.trainable()}


def prepare_student(loaded: LoadedModel, *, spec: RunSpec) -> Student:
    """Make a model of one's own trainable, in place, as the run asks."""
    model = loaded.model
    if spec.lora is not None:
        _adapt(model, spec.lora, seed=spec.seed)
    if spec.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    return Student(loaded=loaded, dtype=spec.dtype, lora=spec.lora)


def lora_config(lora: Lora) -> LoraConfig:
    """peft's description of the adapters."""
    targets = list(lora.targets)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # any number will do
        target_modules=ALL_LINEAR if targets == [ALL_LINEAR] else targets,
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _adapt(model: PreTrainedModel, lora: Lora, *, seed: int) -> None:
    """Low-rank adapters (arXiv 2106.09685) beside the targets; only they are trained. They begin at a function of the
    run's seed, and change nothing yet: B is 0."""
    _check_targets(model, lora)
    with seeded(f"lora:{seed}"):
        inject_adapter_in_model(lora_config(lora), model, adapter_name=ADAPTER)


def _check_targets(model: PreTrainedModel, lora: Lora) -> None:
    """peft overlooks a target that names nothing. The output matrix is none: it is applied at response positions alone,
    and often shared with the embeddings."""
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not model.get_output_embeddings()
    ]
    for target in lora.targets:
        if list(lora.targets) == [ALL_LINEAR] or any(f".{name}".endswith(f".{target}") for name in linear):
            continue
        names = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise WorkerError(
            "invalid_lora", f"lora.targets: {target} is none of the student's linear modules, which are {names}"
        )
