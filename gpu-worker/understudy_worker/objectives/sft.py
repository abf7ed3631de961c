"""Supervised fine-tuning: cross entropy of the response, which is the step's own term; there is no other."""

from __future__ import annotations

from typing import Literal

from understudy_worker.wire import SftObjective

TYPES = ("sft",)


def level(spec: SftObjective) -> Literal["none"]:
    return "none"


def needs_teacher(spec: SftObjective) -> bool:
    return False
