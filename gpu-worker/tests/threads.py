"""Threads that torch computes with in the tests, and in the processes that they start: `UNDERSTUDY_TEST_THREADS`, 1
unless it is set."""

from __future__ import annotations

import os

THREADS = int(os.environ.get("UNDERSTUDY_TEST_THREADS", "1"))
