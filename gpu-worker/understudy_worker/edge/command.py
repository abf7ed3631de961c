"""`understudy-worker export`: a model's export written into a folder of this machine, with no pool."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Literal

REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
RECORD_FILE = "export.json"
EXIT_FAILED = 1


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="understudy_worker export", description="Write a model as one ONNX graph that runs with no GPU."
    )
    result.add_argument(
        "--model",
        required=True,
        help="a folder with safetensors, a .gguf file, or REPOSITORY@REVISION of the Hub, the revision of 40 digits",
    )
    result.add_argument("--precision", choices=["fp32", "int8", "int4"], default="int8", help="default int8")
    result.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="made anew, or empty")
    result.add_argument(
        "--cache-dir", type=Path, default=Path.home() / ".cache" / "understudy", help="converted and downloaded models"
    )
    return result


def main(argv: list[str]) -> None:
    arguments = parser().parse_args(argv)
    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        parser().error(f"--out {out}: it exists and is not an empty folder")
    repository = REPOSITORY.fullmatch(arguments.model)
    path = Path(arguments.model).expanduser().resolve()
    if not repository and not path.is_dir() and not (path.is_file() and path.suffix == ".gguf"):
        parser().error(f"--model {arguments.model}: neither a folder, a .gguf file nor REPOSITORY@REVISION")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    base = (
        {"type": "hub", "repo": repository[1], "revision": repository[2]}
        if repository
        else {"type": "local", "name": "model"}
    )
    _export(arguments, base, declared={} if repository else {"model": path})


def _export(arguments: argparse.Namespace, base: dict[str, str], *, declared: dict[str, Path]) -> None:
    # torch takes seconds to import; bad arguments are answered before that.
    from understudy_worker.backend import configure
    from understudy_worker.edge.export import export
    from understudy_worker.errors import Refused, WorkerError
    from understudy_worker.models import Models
    from understudy_worker.sources import Sources
    from understudy_worker.wire import ModelRef

    models = Models(Sources(declared=declared, cache_dir=arguments.cache_dir, blobs=None), backend=configure())
    ref = ModelRef.model_validate({"model": "model_local", "base": base, "layer_indices": None, "weights_digest": None})
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    try:
        loaded = models.get(ref, tick=lambda: None)
        model, difference = export(loaded, folder, precision=arguments.precision, advance=_Progress())
    except (WorkerError, Refused) as error:
        for path in folder.iterdir():
            path.unlink()
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAILED)
    record = {"model": model.model_dump(mode="json"), "difference": difference.model_dump(mode="json")}
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(
        f"{folder}: {size / 1e6:.1f} MB; log-probabilities differ from PyTorch's in fp32 by {difference.mean:.2g} nats"
        f" a token in the mean, {difference.max:.2g} at the most ({difference.tokens} tokens of"
        f" {difference.responses} responses)"
    )


class _Progress:
    """Says how far the rounding is, line by line."""

    def __init__(self) -> None:
        self._total = 0

    def __call__(
        self, phase: Literal["working"] | None = None, *, done: int | None = None, total: int | None = None
    ) -> None:
        self._total = self._total if total is None else total
        if done:
            print(f"rounded {done} of {self._total}", file=sys.stderr)
