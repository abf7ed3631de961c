"""The worker of a work tree, with a resume state of each distilled run at a given step, and a pause after later steps.

    python worker.py TREE RESUME_AT PAUSE_S [ARGUMENT OF THE WORKER ...]

A tiny run ends long before a resume state is due by time. The tree's own code computes the steps and stores the state.
"""

import os
import runpy
import sys
import time
from pathlib import Path

# The worker sets it too, before it loads torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from understudy_worker import checkpoints
from understudy_worker.engine import Engine

TREE, RESUME_AT, PAUSE_S = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
assert Path(checkpoints.__file__).is_relative_to(TREE), f"{checkpoints.__file__} is not in {TREE}"

store_if_due, step = checkpoints.Uploads.resume_state_if_due, Engine.step


def store_at_one_step(self, state):
    """Make a resume state due at step RESUME_AT."""
    intervals = checkpoints.RESUME_EVERY_S, checkpoints.UPLOAD_SHARE
    if state.teacher is not None and state.head == RESUME_AT:
        checkpoints.RESUME_EVERY_S = checkpoints.UPLOAD_SHARE = 0.0
    try:
        store_if_due(self, state)
    finally:
        checkpoints.RESUME_EVERY_S, checkpoints.UPLOAD_SHARE = intervals


def step_then_pause(self, state, plan):
    """Leave time to kill the run between two steps."""
    outcome = step(self, state, plan)
    if state.teacher is not None and outcome.n > RESUME_AT:
        time.sleep(PAUSE_S)
    return outcome


checkpoints.Uploads.resume_state_if_due = store_at_one_step
Engine.step = step_then_pause
sys.argv[1:4] = []
runpy.run_path(str(TREE / "scripts" / "stack" / "worker.py"), run_name="__main__")
