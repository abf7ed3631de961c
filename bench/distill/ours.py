"""The engine itself: `take_step` of gpu-worker on the rows of the bench, as a lease would run it, without the pool.

`options.phase`: "cold" begins with an empty teacher cache; "warm" reads what a cold process left in `work`.
`options.head_chunk`: response positions whose logits exist at once, as the service plans it.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness import BETAS, GRAD_CLIP, LEARNING_RATE, WEIGHT_DECAY, Answer, Batch, Meter, Request, serve
from understudy_worker.address import Address
from understudy_worker.backend import Backend, configure, fingerprint
from understudy_worker.blobs import Blobs
from understudy_worker.data import Example, Examples, batch_indices
from understudy_worker.forward import Tokens
from understudy_worker.models import Models
from understudy_worker.optimizer import make_optimizer
from understudy_worker.ranks import Ranks, Whole
from understudy_worker.samples import Drawn
from understudy_worker.sources import Sources
from understudy_worker.step import RunState, genesis_hash, take_step
from understudy_worker.student import prepare_student
from understudy_worker.teacher import FrozenTeacher
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.wire import ModelRef, PlanEntry, RowsReport, RunSpec

SEED = 40
NOWHERE = "0" * 64


def model_ref(name: str, *, digest: str | None = None) -> ModelRef:
    base = {"type": "local", "name": name}
    ref = {"model": f"model_{name}", "base": base, "layer_indices": None, "weights_digest": digest}
    return ModelRef.model_validate_json(json.dumps(ref))


def run_spec(request: Request, *, teacher: ModelRef, longest: int) -> RunSpec:
    """A run as the service would give it to a worker; its data set is put in place of one read from a blob."""
    blob = {"key": f"bench/bench/1/{NOWHERE}", "bytes": 1, "sha256": NOWHERE}
    total = len(request.batches)
    return RunSpec.model_validate_json(
        json.dumps(
            {
                "teacher": teacher.model_dump(mode="json"),
                "student": model_ref("student").model_dump(mode="json"),
                "data": {"dataset": "ds_bench", "split": "train", "rows": total, "blob": blob},
                "responses": "data",
                "teacher_sampling": {},
                "plain_text": None,
                "reward_model": None,
                "template": "chat",
                "max_prompt_length": longest,
                "max_length": longest,
                "objective": request.objective,
                "optimizer": {
                    "learning_rate": LEARNING_RATE,
                    "weight_decay": WEIGHT_DECAY,
                    "betas": list(BETAS),
                    "schedule": "constant",
                    "total_steps": total,
                    "grad_clip": GRAD_CLIP,
                },
                "batch_size": len(request.batches[0]),
                "dtype": "float32",
                "lora": None,
                "gradient_checkpointing": False,
                "seed": SEED,
                "metrics_every": 25,
                "checkpoint_every": None,
            }
        )
    )


def examples(batches: list[Batch]) -> Examples:
    """The rows, each where the run's own order finds it at the step and place that it has here."""
    size = len(batches[0])
    ids = tuple(f"row-{index}" for index in range(size * len(batches)))
    kept: dict[int, Example] = {}
    for n, batch in enumerate(batches, start=1):
        for index, row in zip(batch_indices(ids, seed=SEED, n=n, batch_size=size), batch, strict=True):
            tokens = Tokens(ids=(*row["prompt"], *row["response"]), prompt_length=len(row["prompt"]))
            kept[index] = Example(row=ids[index], tokens=tokens)
    report = RowsReport(kept=len(ids), skipped=0, skipped_examples=[], digest=NOWHERE)
    return Examples(kept=tuple(kept[index] for index in range(len(ids))), report=report)


def frozen(request: Request, models: Models, *, backend: Backend) -> tuple[FrozenTeacher, ModelRef]:
    """The teacher with its cache. Cold, its layers are in memory before the first step, as on the other sides."""
    noted = Path(request.work) / "teacher-digest"
    if request.options["phase"] == "cold":
        noted.write_text(models.get(model_ref("teacher"), tick=lambda: None).weights_digest)
    ref = model_ref("teacher", digest=noted.read_text())
    teacher = FrozenTeacher(
        ref,
        models=models,
        cache=TeacherCache(Path(request.work) / "teacher-cache", most_bytes=2**34),
        shared=None,
        dtype="float32",
        fingerprint=fingerprint(backend).digest,
        tick=lambda: None,
    )
    assert teacher.head is not None, "its output matrix is read before the first step"
    return teacher, ref


def run_state(request: Request) -> RunState:
    folder, work = Path(request.folder), Path(request.work)
    work.mkdir(parents=True, exist_ok=True)
    backend = configure(request.threads)
    # Every file is of this machine: nothing is ever asked of this address.
    blobs = Blobs(Address(http="http://127.0.0.1:9", socket="", loopback=True), key="")
    declared = {name: folder / name for name in ("teacher", "student")}
    models = Models(Sources(declared=declared, cache_dir=work / "models", blobs=blobs), backend=backend)
    teacher, ref = frozen(request, models, backend=backend)
    longest = max(len(row["prompt"]) + len(row["response"]) for batch in request.batches for row in batch)
    spec = run_spec(request, teacher=ref, longest=longest)
    student = prepare_student(models.load(spec.student, tick=lambda: None), spec=spec)
    data, ranks = examples(request.batches), Ranks()
    return RunState(
        run="run_bench",
        lineage=0,
        spec=spec,
        examples=data,
        student=student,
        whole=Whole(student.model, ranks=ranks),
        ranks=ranks,
        teacher=teacher,
        reward_model=None,
        optimizer=make_optimizer(student, spec.optimizer),
        plain_text=(),
        drawn=Drawn(spec, data),
        head=0,
        head_hash=genesis_hash(spec, data.report.digest),
        resume_at=0.0,
        upload_s=0.0,
    )


def ours_steps(request: Request) -> Answer:
    """Take the steps; with the answer go the cache's hits and misses over all of them."""
    state = run_state(request)
    plan = PlanEntry.model_validate(
        {"from": 1, "micro_batch_tokens": None, "head_chunk": request.options["head_chunk"], "share_prefixes": True}
    )
    meter = Meter()
    hits = {"hits": 0, "misses": 0}
    for _, done in meter.steps(request.batches):
        metrics = take_step(state, plan=plan).metrics
        done(metrics.loss)
        for name in hits:
            hits[name] += getattr(metrics.teacher_cache, name)
    unwanted = "misses" if request.options["phase"] == "warm" else "hits"
    if hits[unwanted]:
        raise SystemExit(
            f"a {request.options['phase']} cache had {hits[unwanted]} {unwanted}: this measures another thing"
        )
    meter.answer.notes = hits
    return meter.answer


if __name__ == "__main__":
    serve(ours_steps)
