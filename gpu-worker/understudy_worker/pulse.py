"""Whether a thread gets on. The pool gives a job up whose tick stands still; what waits for its turn on the device,
reads one long row, or loads a large model gets on all the same, though it has nothing to report yet.

A thread's pulse moves when the thread says so (`beat`); while it computes or waits for its turn, whenever the device
has done a piece of work (`computed`: a layer or a chunk of logits, forward or backward); and while it reads a model
(`reading`), whenever a thread that reads one has computed for a while: it copies and converts weights, or makes them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from torch import Tensor

# Seconds of a reading thread's CPU that count as progress: the pool waits for a minute.
READING_S = 0.1


class _Device:
    """Pieces of work since the process began. A count that two threads raise at once may miss one: it still moves."""

    pieces = 0


def computed() -> None:
    """The device has been given a piece of work."""
    _Device.pieces += 1


def computed_with_gradient(out: Tensor) -> Tensor:
    """The same of a layer, and again when its gradient comes back through here."""
    computed()
    if out.requires_grad:
        out.register_hook(_backward)
    return out


def _backward(_: Tensor) -> None:
    computed()


class Pulse:
    """Of one thread. Others read it."""

    def __init__(self) -> None:
        self._beats = 0
        self._computing = 0
        self._reading = 0

    def beat(self) -> None:
        self._beats += 1

    def mark(self) -> tuple[int, int, int]:
        """Another value than before: the thread has got on meanwhile."""
        pieces = _Device.pieces if self._computing else 0
        return self._beats, pieces, _read() if self._reading else 0

    def ask(self) -> None:
        """The thread asks for a turn on the device; it may have one already."""
        self._computing += 1

    def leave(self) -> None:
        """Its turn ends."""
        self._computing -= 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.get_ident()
        _Readers.clocks[thread] = time.pthread_getcpuclockid(thread)
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1
            if self._reading == 0:
                del _Readers.clocks[thread]


class _Readers:
    """CPU clocks of the threads that read a model: one that waits for another's model gets on with it."""

    clocks: ClassVar[dict[int, int]] = {}


def _read() -> int:
    seconds = 0.0
    for clock in list(_Readers.clocks.values()):
        with suppress(OSError):  # the thread has ended meanwhile
            seconds += time.clock_gettime(clock)
    return int(seconds / READING_S)


class _Here(threading.local):
    pulse: Pulse | None = None


_here = _Here()


def follow(pulse: Pulse) -> None:
    """This thread's pulse, from now on."""
    _here.pulse = pulse


def here() -> Pulse:
    """This thread's pulse; one that nobody reads, where it has none."""
    if _here.pulse is None:
        _here.pulse = Pulse()
    return _here.pulse


def beat() -> None:
    """This thread has got on."""
    here().beat()
