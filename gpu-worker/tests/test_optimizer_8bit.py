"""AdamW with coded moments: what is not coded well must not move far, and pieces change nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from understudy_worker import optimizer_8bit
from understudy_worker.optimizer_8bit import BLOCK, AdamW8bit

BETAS = (0.9, 0.95)


def gradients(*shape: int, steps: int) -> list[Tensor]:
    """Values of which the largest of a block are some hundred times the typical."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator) * 10.0 ** torch.randn(shape, generator=generator) for _ in range(steps)
    ]


def moved(gradients: list[Tensor], optimizer: type[torch.optim.Optimizer], **how: Any) -> list[Tensor]:
    """How far each step moves weights that begin at 0, in learning rates."""
    weights = torch.nn.Parameter(torch.zeros_like(gradients[0]))
    trained = optimizer([{"params": [weights], "weight_decay": 0.0}], lr=1.0, betas=BETAS, **how)  # type: ignore[call-arg]
    steps = []
    for gradient in gradients:
        before = weights.detach().clone()
        weights.grad = gradient.clone()
        trained.step()
        steps.append(weights.detach() - before)
    return steps


def test_weights_whose_gradient_stops_do_not_run_away() -> None:
    """As the embedding of a token that was met once. Squares below the least code were read as 0, and what was left
    of the first moment moved the weights by 250,000 learning rates."""
    once = gradients(64, BLOCK, steps=1)
    met_once = once + [torch.zeros_like(once[0])] * 20
    ours, exact = moved(met_once, AdamW8bit), moved(met_once, torch.optim.AdamW)
    for step, ideal in zip(ours, exact, strict=True):
        assert float(step.abs().max()) <= 2 * float(ideal.abs().max())
        assert not (step * ideal < 0).any(), "and in AdamW's direction"


def test_no_step_is_much_longer_than_adamws_longest() -> None:
    """Each weight has a gradient in two steps of three."""
    kinds = gradients(64, BLOCK, steps=40)
    for n, gradient in enumerate(kinds):
        gradient[n % 3 :: 3] = 0.0
    longest = max(float(step.abs().max()) for step in moved(kinds, torch.optim.AdamW))
    assert max(float(step.abs().max()) for step in moved(kinds, AdamW8bit)) <= 1.5 * longest


@pytest.mark.parametrize("size", [5000, 20 * BLOCK, 20 * BLOCK + 1])
def test_pieces_change_no_bit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    def trained() -> list[Tensor]:
        weights = torch.nn.Parameter(torch.zeros(size))
        optimizer = AdamW8bit([{"params": [weights], "weight_decay": 0.1}], lr=0.1, betas=BETAS)
        for weights.grad in gradients(size, steps=5):
            optimizer.step()
        state = optimizer.state[weights]
        return [weights.detach(), *(state[name] for name in sorted(state))]

    whole = trained()
    assert len(whole) == 6, "weights, count, and both moments as codes and scales"
    monkeypatch.setattr(optimizer_8bit, "PIECE", 2 * BLOCK)
    for ours, theirs in zip(trained(), whole, strict=True):
        assert torch.equal(ours, theirs)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor made that is no view of those known."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in self.known:
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return made


@pytest.mark.parametrize("begun", [False, True])
def test_what_a_step_allocates_does_not_grow_with_a_tensor(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    """Beside the state itself, which takes a byte a value."""
    monkeypatch.setattr(optimizer_8bit, "PIECE", 4 * BLOCK)
    weights = torch.nn.Parameter(torch.zeros(400 * BLOCK))
    optimizer = AdamW8bit([{"params": [weights]}], lr=0.1, betas=BETAS)
    (weights.grad,) = gradients(400 * BLOCK, steps=1)
    if begun:
        optimizer.step()
    known = [weights.data, weights.grad, *optimizer.state[weights].values()]
    with Largest(known) as largest:
        optimizer.step()
    piece = 8 * 4 * BLOCK  # int64 codes
    assert largest.bytes <= (piece if begun else 400 * BLOCK)
