"""An export of the student, written even where it would be refused.

Standard input: {"folder", "precision", "out"}. Standard output: {"model", "difference", "refusal"}: one of the last two
is null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from student import load, serve
from understudy_worker.edge.export import edge_model, export
from understudy_worker.errors import WorkerError


def written(request: dict[str, Any]) -> dict[str, Any]:
    loaded = load(Path(request["folder"]))
    precision, out = request["precision"], Path(request["out"])
    out.mkdir(parents=True)
    try:
        model, difference = export(loaded, out, precision=precision, advance=lambda *_, **__: None)
    except WorkerError as error:
        if error.code != "export_differs":
            raise
        model = edge_model(loaded, precision)
        return {"model": model.model_dump(mode="json"), "difference": None, "refusal": str(error)}
    return {"model": model.model_dump(mode="json"), "difference": difference.mean, "refusal": None}


if __name__ == "__main__":
    serve(written)
