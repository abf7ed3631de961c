"""What people wait for: scores, completions, tokens. One thread works on all that are in hand, those of several callers
together wherever they are of one project and ask the same models."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence

from understudy_worker import pulse
from understudy_worker.backend import Backend
from understudy_worker.blobs import Blobs
from understudy_worker.completion import Completion
from understudy_worker.completions import Completions
from understudy_worker.endings import AnyOutput, ending, result
from understudy_worker.errors import Abandoned
from understudy_worker.jobs import FrameMaker, Job
from understudy_worker.models import LoadedModel, Models
from understudy_worker.pulse import Pulse, beat
from understudy_worker.scoring import Known, Scoring, score
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.tokens import tokenize
from understudy_worker.turns import TURN
from understudy_worker.wire import CompletePayload, Delta, ScorePayload, TokenizePayload

log = logging.getLogger("understudy")

RequestPayload = ScorePayload | CompletePayload | TokenizePayload
# Least time between two deltas of one stream, s, and deltas of all streams a second: the pool has one thread for all.
DELTA_PAUSE_S = 0.05
DELTAS_PER_S = 50
REQUESTS = (ScorePayload, CompletePayload, TokenizePayload)


class Requests:
    """Takes requests from the runner."""

    def __init__(
        self, *, backend: Backend, models: Models, blobs: Blobs, cache: TeacherCache, fingerprint: str
    ) -> None:
        self._backend = backend
        self._models = models
        self._blobs = blobs
        self._cache = cache
        self._fingerprint = fingerprint
        self._arrived: queue.SimpleQueue[tuple[Job, RequestPayload]] = queue.SimpleQueue()
        self._completing: dict[tuple[str, LoadedModel], Completions] = {}
        self._open: list[Completion] = []
        self._pulse = Pulse()
        threading.Thread(target=self._work, name="requests", daemon=True).start()

    def accept(self, job: Job, payload: RequestPayload) -> None:
        """Queue a request, from any thread. Until it is answered it gets on as the thread does that works on all."""
        job.follow(self._pulse)
        self._arrived.put((job, payload))

    def _work(self) -> None:
        self._backend.pin_threads()
        pulse.follow(self._pulse)
        while True:
            scorings: dict[tuple[str, LoadedModel, LoadedModel], list[tuple[Job, Scoring]]] = defaultdict(list)
            completions: dict[tuple[str, LoadedModel], list[Completion]] = defaultdict(list)
            for job, payload in self._take():
                try:
                    self._prepare(job, payload, scorings, completions)
                except Exception as error:
                    self._end(job, error)
            for some in scorings.values():
                self._score(some)
            for (project, loaded), joining in completions.items():
                self._completing.setdefault((project, loaded), Completions(loaded, fail=self._failed)).add(joining)
                self._open += joining
            self._continue()

    def _take(self) -> list[tuple[Job, RequestPayload]]:
        """All that have come; while nothing is in hand, wait for one."""
        taken = [] if self._open else [self._arrived.get()]
        while not self._arrived.empty():
            taken.append(self._arrived.get())
        return taken

    def _prepare(
        self,
        job: Job,
        payload: RequestPayload,
        scorings: dict[tuple[str, LoadedModel, LoadedModel], list[tuple[Job, Scoring]]],
        completions: dict[tuple[str, LoadedModel], list[Completion]],
    ) -> None:
        """Read it, and put it where those are that it may be computed with."""
        beat()
        match payload:
            case TokenizePayload():
                self._answer(job, tokenize(self._models.get(payload.model, tick=job.advance), payload))
            case ScorePayload():
                scoring = Scoring.of(payload, job, self._models)
                scorings[job.lease.project, scoring.teacher, scoring.student].append((job, scoring))
            case CompletePayload():
                loaded = self._models.get(payload.model, tick=job.advance)
                job.advance("working")
                completions[job.lease.project, loaded].append(Completion(job, payload, loaded))

    def _score(self, asked: Sequence[tuple[Job, Scoring]]) -> None:
        """What cannot be computed together is computed one by one: only one of them may be at fault."""

        def tick() -> None:
            _tick([job for job, _ in asked])

        known = Known(self._cache.of(asked[0][0].lease.project), self._fingerprint)
        try:
            outputs = score([scoring for _, scoring in asked], known=known, tick=tick)
        except Exception as error:
            if len(asked) == 1:
                self._end(asked[0][0], error)
            else:
                for one in asked:
                    self._score([one])
            return
        for (job, _), output in zip(asked, outputs, strict=True):
            self._answer(job, output)

    def _continue(self) -> None:
        """A token more of every completion, and the answers of those that are finished."""
        for key, completions in list(self._completing.items()):
            for request in [one for one in self._open if one.job.dropped]:
                completions.drop(request)
            with TURN:
                completions.step()
            if completions.idle:
                del self._completing[key]  # and with it its keys and values
        _tick([request.job for request in self._open])
        self._send_deltas([request for request in self._open if request.payload.stream])
        for request in self._open:
            if request.finished and not request.job.dropped:
                self._answer(request.job, request.output())
        self._open = [request for request in self._open if not request.finished and not request.job.dropped]

    def _send_deltas(self, streamed: Sequence[Completion]) -> None:
        """What is new of each, as often as all of them together may send."""
        now, pause = time.monotonic(), max(DELTA_PAUSE_S, len(streamed) / DELTAS_PER_S)
        for request in streamed:
            if request.finished or now - request.sent_at >= pause:
                request.sent_at = now
                self._send_new(request)

    def _send_new(self, request: Completion) -> None:
        pieces, job = request.pieces(), request.job
        if not pieces or job.dropped:
            return
        place = request.deltas
        request.deltas += 1
        name, fence = job.lease.job, job.fence
        self._send(job, lambda seq: Delta(type="delta", seq=seq, job=name, fence=fence, place=place, pieces=pieces))

    def _failed(self, request: Completion, error: Exception) -> None:
        self._open = [one for one in self._open if one is not request]
        self._end(request.job, error)

    def _answer(self, job: Job, output: AnyOutput) -> None:
        try:
            self._send(job, result(job, output, blobs=self._blobs))
        except Exception as error:
            self._end(job, error)

    def _end(self, job: Job, error: Exception) -> None:
        frame, outcome = ending(job, error)
        log.info("lease %s fence %d %s", job.lease.job, job.fence, outcome)
        if frame is not None:
            self._send(job, frame)

    def _send(self, job: Job, frame: FrameMaker) -> None:
        """Nobody waits for the ack: a lease that is lost is noticed as dropped."""
        try:
            job.send(frame)
        except Abandoned:
            log.info("lease %s fence %d abandoned", job.lease.job, job.fence)


def _tick(jobs: Sequence[Job]) -> None:
    """Work has gone on for all of them; one that is dropped is noticed elsewhere."""
    for job in jobs:
        if not job.dropped:
            job.advance()
