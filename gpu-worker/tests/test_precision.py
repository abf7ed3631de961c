"""The oracle and the assertion that other tests use: fp64 throughout, and an error of ten times the peer's fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from precision import EPSILON, FLOOR_NATS, FullPrecision, Oracle, allowed
from teachers import NAMES, SEQUENCES, write_more
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture(scope="module")
def oracles(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Oracle]:
    every = {**folders, **write_more(tmp_path_factory.mktemp("more"))}
    return {name: Oracle.of(every[name]) for name in NAMES}


class Narrowed(TorchDispatchMode):
    """Counts operations that make fp32 of fp64."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        wide = any(isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in args)
        if wide and isinstance(result, torch.Tensor) and result.dtype == torch.float32:
            self.found.append(str(func))
        return result


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_is_fp64_throughout(oracles: dict[str, Oracle], name: str) -> None:
    with Narrowed() as watched:
        exact_NV = oracles[name].exact_logits(SEQUENCES[0])
    assert exact_NV.dtype == torch.float64 and not watched.found


def test_what_the_oracle_prevents(oracles: dict[str, Oracle]) -> None:
    """transformers' own norm of an fp64 state is in fp32."""
    norm, states = oracles["teacher"]._exact.model.norm, torch.randn(2, 32, dtype=torch.float64)
    with FullPrecision():
        exact = norm(states)
    assert 0 < float((norm(states) - exact).detach().abs().max()) < 1e2 * EPSILON


@pytest.mark.parametrize("name", NAMES)
def test_the_peer_passes_and_ten_times_its_distance_fails(oracles: dict[str, Oracle], name: str) -> None:
    oracle = oracles[name]
    theirs_N, exact_N = oracle.of_responses(SEQUENCES)
    lengths = [len(tokens.response) for tokens in SEQUENCES]

    def of(values_N: torch.Tensor) -> list[list[float]]:
        return [part.tolist() for part in values_N.split(lengths)]

    oracle.assert_as_exact(SEQUENCES, of(theirs_N))
    found = oracle.distance(SEQUENCES, of(theirs_N))
    assert 0 < found.ours == found.theirs and found.allowed == allowed(found.theirs, FLOOR_NATS)
    for place in (0, len(exact_N) - 1):  # at any one token
        wrong_N = theirs_N.double()
        wrong_N[place] = exact_N[place] + 10 * max(found.theirs, FLOOR_NATS)
        with pytest.raises(AssertionError, match=r"from fp64, transformers' own fp32 .*; allowed"):
            oracle.assert_as_exact(SEQUENCES, of(wrong_N))
    wrong_N[0] = float("nan")
    with pytest.raises(AssertionError, match="nan"):
        oracle.assert_as_exact(SEQUENCES, of(wrong_N))
