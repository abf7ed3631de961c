"""One computation at a time on the device, in the order of asking: a training step, a token of a batch, a batch of
scores. Two programs' threads on the same cores slow each other down many times over (measured), and a request waits for
one step instead of a span."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from understudy_worker import pulse


class Turns:
    """A lock that whoever has waited longest gets next; a thread that holds it may take it again.

    Nothing that is slow and computes nothing (a download, an answer of the pool) belongs inside; nor does anything
    that another thread holds while it waits for its turn.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._holder: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        pulse.here().ask()
        me = threading.get_ident()
        with self._guard:
            if self._holder in (None, me):
                self._holder = me
                self._depth += 1
                return
            called = threading.Event()
            self._waiting.append(called)
        called.wait()
        with self._guard:
            self._holder, self._depth = me, 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pulse.here().leave()
        with self._guard:
            self._depth -= 1
            if self._depth > 0:
                return
            if self._waiting:
                self._holder = 0  # taken: by the thread that is called
                self._waiting.popleft().set()
            else:
                self._holder = None


TURN = Turns()
