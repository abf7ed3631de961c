"""The export of a model for the edge: weights rounded, written as files, measured, and stored as blobs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal, Protocol

from understudy_worker.blobs import Blobs
from understudy_worker.digests import template_digest
from understudy_worker.edge.calibration import rounded_weights
from understudy_worker.edge.difference import Artifact, difference
from understudy_worker.edge.files import write_graph, write_tokenizer
from understudy_worker.edge.layers import plain_weights
from understudy_worker.edge.student import architecture_of, build, context_of
from understudy_worker.edge.texts import sampled, texts
from understudy_worker.edge.vocabulary import LIKELIEST
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.wire import Difference, EdgeModel, ExportOutput, ExportPayload, Precision


def run(payload: ExportPayload, job: Job, models: Models, blobs: Blobs) -> ExportOutput:
    """Export a model and store its files for the job."""
    loaded = models.get(payload.model, tick=job.advance)
    folder = Path(tempfile.mkdtemp(prefix="understudy-export-", dir=models.sources.scratch()))
    try:
        model, found = export(loaded, folder, precision=payload.precision, advance=job.advance)
        paths = sorted(folder.iterdir())
        job.advance("uploading", done=0, total=len(paths))
        files = []
        for done, path in enumerate(paths, start=1):
            put = blobs.put_file(path, owner=job.lease.job, fence=job.fence, on_part=lambda _: job.advance())
            files.append(put)
            job.advance(done=done)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ExportOutput(kind="export", model=model, difference=found, files=files)


class Advance(Protocol):
    """Progress, as `Job.advance` takes it."""

    def __call__(
        self, phase: Literal["working"] | None = None, *, done: int | None = None, total: int | None = None
    ) -> None: ...


def export(
    loaded: LoadedModel, folder: Path, *, precision: Precision, advance: Advance
) -> tuple[EdgeModel, Difference]:
    """Write the files of an export into an empty folder. Raises WorkerError for a model that the graph does not
    express, and for one whose answers in this precision are too far from its own."""
    joints = architecture_of(loaded.model).JOINTS
    advance("working")
    if precision == "fp32":
        weights = plain_weights(loaded.model, joints)
    else:
        context = context_of(loaded.model)
        written = sampled(loaded, context=context, tick=advance)
        weights = rounded_weights(
            loaded.model,
            [*texts(loaded, "rounding", context=context), *written],
            joints=joints,
            precision=precision,
            progress=lambda done, total: advance("working", done=done, total=total),
        )
    write_graph(build(loaded.model, weights), folder, tick=advance)
    write_tokenizer(loaded.tokenizer, folder)
    measured = texts(loaded, "measuring", context=context_of(loaded.model))
    found = difference(Artifact(folder), loaded, measured, precision=precision, tick=advance)
    return edge_model(loaded, precision), found


def edge_model(loaded: LoadedModel, precision: Precision) -> EdgeModel:
    model = loaded.model
    heads = architecture_of(model).heads(model)
    return EdgeModel(
        precision=precision,
        architecture=type(model).__name__,
        parameters=loaded.parameters,
        layers=model.config.num_hidden_layers,
        hidden_size=model.config.hidden_size,
        key_value_heads=heads.key_values,
        head_dim=heads.size,
        vocab_size=model.config.vocab_size,
        context_length=context_of(model),
        likeliest=min(LIKELIEST, model.config.vocab_size),
        end_id=loaded.end_id,
        stop_ids=sorted(loaded.stop_ids),
        weights_digest=loaded.weights_digest,
        tokenizer_digest=loaded.tokenizer_digest,
        template_digest=template_digest(loaded.tokenizer),
    )
