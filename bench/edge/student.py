"""What the bench's programs share: the student as the worker loads it."""

from __future__ import annotations

from pathlib import Path

from understudy_worker.backend import configure
from understudy_worker.models import LoadedModel, Models
from understudy_worker.sources import Sources
from understudy_worker.wire import ModelRef


def load(folder: Path) -> LoadedModel:
    """Of a folder with safetensors and a tokenizer."""
    sources = Sources(declared={"student": folder}, cache_dir=folder / "cache", blobs=None)
    base = {"type": "local", "name": "student"}
    ref = {"model": "model_student", "base": base, "layer_indices": None, "weights_digest": None}
    return Models(sources, backend=configure()).load(ModelRef.model_validate(ref), tick=lambda: None)
