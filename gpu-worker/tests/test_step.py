"""One step with every objective: accumulation changes nothing, a replay repeats it, and it says what it did."""

from __future__ import annotations

import json
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, local_job
from precision import EPSILON, FLOOR_ULPS, FullPrecision, distance, gradient_distance, widen

from understudy_worker.distill import Trainer
from understudy_worker.engine import Engine
from understudy_worker.layout import count, deal, micro_batches, works
from understudy_worker.objectives import REGISTRY
from understudy_worker.step import RunState, _Step, _weights
from understudy_worker.stopwatch import Stopwatch
from understudy_worker.wire import PlanEntry, TrainPayload

SAMPLING = {"max_new_tokens": 6, "refresh_every": 2, "temperature": 1.0, "top_p": 0.9}
TEACHER = json.loads(ref("teacher").model_dump_json())

OBJECTIVES: dict[str, dict[str, Any]] = {
    "sft": {"type": "sft"},
    "seqkd": {"type": "seqkd", "kd_ratio": 0.7},
    "dpkd": {"type": "dpkd", "beta": 0.5},
    "dpkd dpop": {"type": "dpkd", "beta": 0.5, "variant": "dpop", "lambda": 2},
    "dpkd sequence": {"type": "dpkd", "granularity": "sequence", "sampling": SAMPLING},
    "dpkd ipo": {"type": "dpkd", "granularity": "sequence", "variant": "ipo", "sampling": SAMPLING},
    "dpkd simpo": {"type": "dpkd", "granularity": "sequence", "variant": "simpo", "sampling": SAMPLING},
    "dpkd data": {"type": "dpkd", "granularity": "sequence", "pairs": "data"},
    "reward_kl": {"type": "reward_kl", "reward": {"grader": "exact_match"}, "sampling": SAMPLING},
    "reward_kl implicit": {"type": "reward_kl", "reward": {"implicit": "other"}, "sampling": SAMPLING},
    "minillm": {"type": "minillm", "sampling": SAMPLING},
    "forward_kl": {"type": "forward_kl"},
    "reverse_kl": {"type": "reverse_kl", "temperature": 2},
    "jsd": {"type": "jsd", "on_policy_fraction": 0.5, "sampling": SAMPLING},
    "skew_forward_kl": {"type": "skew_forward_kl"},
    "skew_reverse_kl": {"type": "skew_reverse_kl"},
    "tvd": {"type": "tvd"},
    "adaptive_kl": {"type": "adaptive_kl"},
}


def spec_of(server: BlobServer, name: str, **changes: Any) -> dict[str, Any]:
    data = [{**row, "rejected": "no " + row["response"]} for row in runs.rows(12)]
    plain = {"data": json.loads(runs.split_ref(server, runs.rows(5)).model_dump_json()), "coef": 0.25}
    objective = OBJECTIVES[name]
    return runs.spec(
        runs.split_ref(server, data),
        objective=objective,
        plain_text=plain,
        reward_model=TEACHER if "implicit" in json.dumps(objective) else None,
        **changes,
    )


def test_every_objective_is_here() -> None:
    assert {objective["type"] for objective in OBJECTIVES.values()} == set(REGISTRY)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_trains_and_repeats_itself(new_room: Any, blob_server: BlobServer, name: str) -> None:
    spec = spec_of(blob_server, name)
    journal, room = Journal(), new_room()
    trainer = room.trainer()
    trainer.run(runs.payload(spec, to=5), local_job(journal, runs.payload(spec, to=5), lineage=0))
    metrics = [journal.steps[n].metrics for n in range(1, 6)]
    assert all(metric.loss == metric.loss and metric.grad_norm > 0 for metric in metrics)
    assert all(metric.loss_plain_text is not None for metric in metrics)

    # Another process, which has nothing but the journal.
    drawn = [frame for frame in journal.frames if frame.type == "samples"]
    replayed = runs.continuing(spec, journal, to=6)
    new_room().trainer().run(replayed, local_job(journal, replayed, job="job_2", lineage=0))
    assert len(journal.steps) == 6 and not journal.of("mismatch")
    assert [frame for frame in journal.frames if frame.type == "samples"][: len(drawn)] == drawn


def test_samples_are_drawn_a_block_at_a_time_and_before_their_steps(room: Room, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "dpkd sequence")
    journal = Journal()
    room.trainer().run(runs.payload(spec, to=5), local_job(journal, runs.payload(spec, to=5), lineage=0))
    told = [
        (frame.type, getattr(frame, "n", None) or frame.samples.n)
        for frame in journal.frames
        if frame.type in ("samples", "step")
    ]
    assert told == [
        ("samples", 1),
        ("step", 1),
        ("step", 2),
        ("samples", 3),
        ("step", 3),
        ("step", 4),
        ("samples", 5),
        ("step", 5),
    ]


def test_the_teacher_answers_each_row_once(room: Room, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "seqkd", optimizer={"learning_rate": 0.01, "total_steps": 40})
    journal = Journal()
    payload = runs.payload(spec, to=20)
    room.trainer().run(payload, local_job(journal, payload, lineage=0))
    (frame,) = journal.of("samples")
    rows = json.loads(blob_server.content(frame.samples.blob.key))["rows"]
    assert sorted(row["row"] for row in rows) == sorted(f"row-{index}" for index in range(12))


def test_other_samples_in_the_journal_end_the_lease(room: Room, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "minillm")
    journal = Journal()
    journal.scripted["samples"] = [("gap", 0), ("gap", 0)]
    with pytest.raises(Exception, match="journal"):
        room.trainer().run(runs.payload(spec, to=2), local_job(journal, runs.payload(spec, to=2), lineage=0))
    assert not journal.steps


def test_a_replay_without_its_samples_is_refused(room: Room, new_room: Any, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "dpkd sequence")
    journal = Journal()
    room.trainer().run(runs.payload(spec, to=3), local_job(journal, runs.payload(spec, to=3), lineage=0))
    payload = runs.continuing(spec, journal, to=4, samples=[])
    with pytest.raises(Exception, match="samples of step 1"):
        new_room().trainer().run(payload, local_job(journal, payload, job="job_2", lineage=0))


def loaded(room: Room, payload: TrainPayload) -> RunState:
    return begun(room.trainer(), payload)


def begun(trainer: Trainer, payload: TrainPayload) -> RunState:
    """The run at step 0, its first block's answers drawn."""
    engine: Engine = trainer._engine
    state = engine.load(payload, project="proj_1", lineage=0, fence=1, tick=lambda: None)
    assert trainer._draw(state, local_job(Journal(), payload, lineage=0))
    return state


def flat_gradient(state: RunState) -> torch.Tensor:
    grads = {name: parameter.grad for name, parameter in state.student.trainable()}
    return torch.cat([grads[name].flatten() for name in sorted(grads)])


def gradients(state: RunState, **plan: Any) -> tuple[dict[str, float], torch.Tensor]:
    """The sums of a step over eight rows by this plan, and its gradient, flat."""
    entry = PlanEntry.model_validate({"from": 1, "micro_batch_tokens": None, "head_chunk": 4096, **plan})
    spec = state.spec
    rows = works(spec, list(state.examples.kept[:8]), list(state.plain_text[:3]), n=1, answers=state.drawn.answers)
    step = _Step(state, n=1, counts=count(rows), plan=entry, watch=Stopwatch())
    sums = step.accumulate([micro_batches(share, tokens=entry.micro_batch_tokens) for share in deal(rows, 1)])
    return dict(sums), flat_gradient(state)


PLANS: list[dict[str, Any]] = [
    {"micro_batch_tokens": 100, "head_chunk": 5},
    {"share_prefixes": True},
    {"micro_batch_tokens": 100, "head_chunk": 5, "share_prefixes": True},
]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_how_a_step_is_planned_changes_nothing_but_rounding(room: Room, blob_server: BlobServer, name: str) -> None:
    spec = spec_of(blob_server, name, batch_size=8)
    # all rows of the batch are sampled: the first eight of the permutation
    state = loaded(room, runs.payload(spec))
    order = [wanted.example for wanted in state.drawn._batch(1)]
    object.__setattr__(state.examples, "kept", tuple(order))
    # In one micro-batch, nothing shared, it is the plain formula: in fp32 the peer, in fp64 the oracle.
    plain, plain_grads = gradients(state)
    planned = [gradients(state, **plan) for plan in PLANS]
    widen(state.student.model)
    with FullPrecision():
        exact, exact_grads = gradients(state)
    assert exact_grads.dtype == torch.float64
    scales = torch.tensor([max(1.0, abs(value)) for value in exact.values()], dtype=torch.float64)
    for sums, grads in planned:
        assert sums.keys() == plain.keys() == exact.keys()
        ours, theirs, wanted = (
            torch.tensor([one[metric] for metric in exact], dtype=torch.float64) / scales
            for one in (sums, plain, exact)
        )
        distance(ours, theirs, wanted, floor=FLOOR_ULPS * EPSILON).check("sums, relative")
        gradient_distance(grads, plain_grads, exact_grads).check("gradient, relative")


def test_a_student_with_dropout_shares_nothing(room: Room, blob_server: BlobServer) -> None:
    """Each sequence draws its own numbers, as it does alone."""
    state = loaded(room, runs.payload(spec_of(blob_server, "sft")))
    for layer in state.student.model.base_model.layers:
        layer.self_attn.attention_dropout = 0.1
    assert torch.equal(gradients(state, share_prefixes=True)[1], gradients(state)[1])


def test_metrics_come_when_they_are_due(room: Room, blob_server: BlobServer) -> None:
    spec = spec_of(blob_server, "dpkd", metrics_every=2)
    journal = Journal()
    room.trainer().run(runs.payload(spec, to=4), local_job(journal, runs.payload(spec, to=4), lineage=0))
    first, second = journal.steps[1].metrics, journal.steps[2].metrics
    assert first.kl_forward is None and first.entropy_student is None
    assert second.kl_forward is not None and second.kl_forward > 0
    assert second.entropy_teacher is not None and second.entropy_teacher > 0
    assert second.memory_bytes > 10**7
    phases = second.phases
    spent = phases.data + phases.teacher + phases.forward + phases.backward + phases.optimizer
    assert 0 < spent <= second.seconds * 1.01
    assert (first.teacher_cache.hits, first.teacher_cache.misses) == (0, 4)


def test_weights_of_an_empty_term_are_finite(room: Room, blob_server: BlobServer) -> None:
    state = loaded(room, runs.payload(spec_of(blob_server, "sft")))
    weights = _weights(state.spec, count([]), world=2)
    assert (weights.lm, weights.distill) == (2.0, 0.0)
