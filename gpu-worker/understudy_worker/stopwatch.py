"""Where a step's time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal["data", "teacher", "forward", "backward", "optimizer", "upload"]


class Stopwatch:
    """Seconds by phase, on the host's monotonic clock: work that a GPU has queued counts where it is waited for."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[phase] += time.monotonic() - began
