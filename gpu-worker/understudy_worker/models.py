"""Loaded models: fp32 weights on the device, in eval mode, verified against the digest that the pool knows."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from understudy_worker import pulse
from understudy_worker.backend import Backend
from understudy_worker.digests import json_digest, template_digest, tokenizer_digest, weights_digest
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Head
from understudy_worker.init import new_model
from understudy_worker.output_head import OutputHead, read_output_head
from understudy_worker.packed import ATTENTION
from understudy_worker.prune import keep_layers
from understudy_worker.seeded import PROCESS
from understudy_worker.sources import Sources, Tick
from understudy_worker.wire import InitSource, ModelFacts, ModelRef

log = logging.getLogger("understudy")
transformers_logging.disable_progress_bar()

# Share of the device's memory that idle models may fill; the rest is for runs and activations.
CACHE_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with its tokenizer. `end_id` closes a response; `stop_ids` end a generation."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    head: Head
    weights_digest: str
    tokenizer_digest: str
    end_id: int | None
    stop_ids: frozenset[int]
    context_length: int
    parameters: int

    @property
    def config(self) -> Any:
        return self.model.config


def facts(loaded: LoadedModel, ref: ModelRef) -> ModelFacts:
    """What the registry keeps about a model."""
    return ModelFacts(
        architecture=type(loaded.model).__name__,
        layers=loaded.model.config.num_hidden_layers,
        parameters=loaded.parameters,
        vocab_size=loaded.model.config.vocab_size,
        context_length=loaded.context_length,
        layer_indices=ref.layer_indices,
        weights_digest=loaded.weights_digest,
        tokenizer_digest=loaded.tokenizer_digest,
        template_digest=template_digest(loaded.tokenizer),
    )


class Models:
    """Loads models and keeps the last ones used, bounded by a share of the device's memory."""

    def __init__(self, sources: Sources, *, backend: Backend) -> None:
        self.sources = sources
        self.backend = backend
        self._kept: OrderedDict[str, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, ref: ModelRef, *, tick: Tick) -> LoadedModel:
        """A shared model, for reading only."""
        key = json_digest([ref.base.model_dump(mode="json"), ref.layer_indices])
        # also while another thread reads a model
        with pulse.here().reading(), self._lock:
            loaded = self._kept.get(key) or self.load(ref, tick=tick)
            _check_digest(loaded, ref)
            self._kept[key] = loaded
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self._bytes() > CACHE_SHARE * self.backend.memory_bytes():
                self._kept.popitem(last=False)
        return loaded

    def load(self, ref: ModelRef, *, tick: Tick) -> LoadedModel:
        """A model of one's own, which may be trained."""
        with pulse.here().reading():
            return self._load(ref, tick=tick)

    def _load(self, ref: ModelRef, *, tick: Tick) -> LoadedModel:
        base = ref.base
        folder = self.sources.folder(base.tokenizer if isinstance(base, InitSource) else base, tick=tick)
        tick()
        model = new_model(folder, base) if isinstance(base, InitSource) else _read_model(folder, ref)
        if ref.layer_indices is not None:
            keep_layers(model, indices=list(ref.layer_indices))
        tick()
        _own_memory(model, self.backend.device)
        tick()
        loaded = _describe(model, _read_tokenizer(folder, ref), tick=tick)
        _check_digest(loaded, ref)
        log.info("model %s loaded: %d parameters", ref.model, loaded.parameters)
        return loaded

    def output_head(self, ref: ModelRef, *, tick: Tick) -> OutputHead | None:
        """The model's output matrix, without its layers; None where only loading it all can tell which weights it has:
        a pruned or random model, files that name their tensors otherwise, a model that is loaded anyway."""
        key = json_digest([ref.base.model_dump(mode="json"), ref.layer_indices])
        base = ref.base
        if key in self._kept or isinstance(base, InitSource) or ref.layer_indices or ref.weights_digest is None:
            return None
        folder = self.sources.folder(base, tick=tick)
        return read_output_head(
            folder, _read_tokenizer(folder, ref), digest=ref.weights_digest, device=self.backend.device, tick=tick
        )

    def _bytes(self) -> int:
        return sum(4 * loaded.parameters for loaded in self._kept.values())


def _read_model(folder: Path, ref: ModelRef) -> PreTrainedModel:
    try:
        with PROCESS:
            read: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                attn_implementation=ATTENTION,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _invalid(ref, folder, error) from error
    model: PreTrainedModel
    model, info = read
    if absent := sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"])):
        raise WorkerError("model_invalid", f"model {ref.model}: weights are missing or misshapen, first {absent[0]}")
    model.train(False)
    return model


def _read_tokenizer(folder: Path, ref: ModelRef) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise _invalid(ref, folder, error) from error
    if not tokenizer.is_fast:
        raise WorkerError("unsupported_tokenizer", f"model {ref.model}: it needs a tokenizer.json (a fast tokenizer)")
    return tokenizer


def _invalid(ref: ModelRef, folder: Path, error: Exception) -> WorkerError:
    lines = str(error).replace(str(folder), "the model's folder").splitlines() or [type(error).__name__]
    return WorkerError("model_invalid", f"model {ref.model} cannot be loaded: {lines[0][:500]}")


def _own_memory(model: PreTrainedModel, device: torch.device) -> None:
    """Move every tensor into memory of its own. As loaded they are views of a mapped file, at addresses that depend
    on the file's header; some CPU kernels choose their path, and so their rounding, by alignment."""
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = tensor.data.to(device, copy=True)


def _describe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, tick: Tick) -> LoadedModel:
    ends = {tokenizer.eos_token_id}
    configured = model.generation_config.eos_token_id if model.generation_config else None
    ends.update(configured if isinstance(configured, list) else [configured])
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        head=Head.of(model),
        weights_digest=weights_digest(model, on_tensor=tick),
        tokenizer_digest=tokenizer_digest(tokenizer),
        end_id=tokenizer.eos_token_id,
        stop_ids=frozenset(end for end in ends if end is not None),
        context_length=model.config.max_position_embeddings,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _check_digest(loaded: LoadedModel, ref: ModelRef) -> None:
    if ref.weights_digest is not None and ref.weights_digest != loaded.weights_digest:
        raise WorkerError(
            "model_digest_mismatch",
            f"model {ref.model}: its weights on this worker are not those registered; register it again",
        )
