"""A job's tick moves while the thread that it waits for gets on, and stands still when that hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from journal import Journal, local_job
from teachers import waits_for
from test_completions import payload
from test_requests import accept_and_wait, runner, score  # noqa: F401 - a fixture
from test_step import spec_of

from understudy_worker import pulse
from understudy_worker.forward import Tokens, response_states
from understudy_worker.jobs import Job
from understudy_worker.models import LoadedModel
from understudy_worker.pulse import Pulse, computed
from understudy_worker.runner import Runner
from understudy_worker.turns import TURN


def tick(job: Job) -> int:
    return job.progress().tick


@pytest.fixture
def in_layers() -> Iterator[list[Callable[[], None]]]:
    """What is called at the end of every attention layer of every model."""
    hooks: list[Callable[[], None]] = []

    def call(module: torch.nn.Module, *_: Any) -> None:
        if type(module).__name__.endswith("Attention"):
            for hook in hooks:
                hook()

    handle = torch.nn.modules.module.register_module_forward_hook(call)
    yield hooks
    handle.remove()


def test_one_long_row_gets_on_layer_by_layer(
    runner: Runner,  # noqa: F811
    journal: Journal,
    in_layers: list[Callable[[], None]],
) -> None:
    for name in ("teacher", "student"):
        runner._models.get(ref(name), tick=lambda: None)
    job = local_job(journal, score("a long answer " * 40))
    ticks: list[int] = []
    in_layers.append(lambda: ticks.append(tick(job)))
    runner.accept(job)
    assert journal.wait_final("job_1").type == "result"
    assert len(ticks) >= 4 and ticks == sorted(set(ticks))


def test_a_training_step_gets_on_forward_and_backward(
    room: Room, blob_server: BlobServer, in_layers: list[Callable[[], None]]
) -> None:
    model: LoadedModel = room.models.load(ref("student"), tick=lambda: None)
    here = pulse.here()
    with TURN:
        before = here.mark()
        states = response_states(model.model.base_model, [Tokens(ids=(1, 2, 3, 4), prompt_length=2)])
        middle = here.mark()
        states.square().sum().backward()
        after = here.mark()
    layers = model.model.config.num_hidden_layers
    assert [later[1] - earlier[1] for earlier, later in ((before, middle), (middle, after))] == [layers, layers]


def test_what_waits_in_the_line_gets_on_with_the_device_and_hangs_with_it(
    runner: Runner,  # noqa: F811
    journal: Journal,
) -> None:
    computing, queued = (
        local_job(journal, score("Blue."), job="job_0"),
        local_job(journal, payload(["Hi"]), job="job_1"),
    )
    with TURN:  # another thread has the device
        accept_and_wait(runner, computing)
        runner.accept(queued)
        assert waits_for(lambda: not runner._requests._arrived.empty())
        still = [tick(computing), tick(queued)]
        assert [tick(computing), tick(queued)] == still
        computed()
        assert [tick(computing), tick(queued)] == [one + 1 for one in still]
        assert [tick(computing), tick(queued)] == [one + 1 for one in still]
    assert journal.wait_final("job_1").type == "result"


def test_a_thread_that_hangs_elsewhere_has_no_part_in_what_others_compute(
    runner: Runner,  # noqa: F811
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold, held = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        held.set()
        hold.wait(60)
        raise ValueError

    monkeypatch.setattr(runner._requests._models, "get", hang)
    jobs = [local_job(journal, score("Blue."), job=f"job_{n}") for n in range(2)]
    for job in jobs:
        runner.accept(job)
    assert held.wait(60)
    assert waits_for(lambda: runner._arrived.empty())
    still = [tick(job) for job in jobs]
    computed()
    assert [tick(job) for job in jobs] == still
    hold.set()
    assert journal.wait_final("job_1").type == "fail"


def test_reading_a_model_gets_on_as_its_thread_computes() -> None:
    mine = Pulse()
    with mine.reading():
        before = mine.mark()
        while mine.mark() == before:
            sum(range(10_000))
    assert mine.mark() == mine.mark() == (0, 0, 0)


def test_who_waits_for_a_model_that_another_reads_gets_on_with_it() -> None:
    waits, done = threading.Event(), threading.Event()
    other = Pulse()

    def wait() -> None:
        with other.reading():
            waits.set()
            done.wait(60)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(60)
    still = other.mark()
    with Pulse().reading():
        while other.mark() == still:
            sum(range(10_000))
    done.set()
    thread.join()


def test_a_run_reports_more_than_its_steps(room: Room, blob_server: BlobServer) -> None:
    """A step is one tick of its own; what it computes gives more, so that a long one is seen to get on."""
    pulse.follow(Pulse())
    journal = Journal()
    asked = runs.payload(spec_of(blob_server, "sft"), to=1)
    job = local_job(journal, asked, lineage=0)
    job.follow(pulse.here())
    seen: set[int] = set()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: seen.add(tick(job)))
    try:
        room.trainer().run(asked, job)
    finally:
        handle.remove()
    assert len(seen) > 2 * len(journal.steps)
