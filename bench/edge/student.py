"""What the bench's programs share: one JSON request in, one JSON answer out, and the student as the worker loads it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# As the worker's command line has it, before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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


def in_parallel(work: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
    """What `work` gives for each, as many at a time as there are cores: an export runs on one thread."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, *items))


def serve(work: Callable[[dict[str, Any]], Any]) -> None:
    """Answers the request on standard input. What libraries print meanwhile goes to standard error."""
    request = json.load(sys.stdin)
    answer_to, sys.stdout = sys.stdout, sys.stderr
    json.dump(work(request), answer_to)
