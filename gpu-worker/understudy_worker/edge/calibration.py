"""A model's matrices rounded one layer after another, for inputs that it really sees.

Two copies of the states go through the layers: those of the model as it is, and those of the model as rounded so far.
Each matrix is first fitted to what the rounded model feeds it (what comes out shall be what the model itself has there,
the errors of earlier layers included), then rounded for those inputs (`rounding.py`).

Shape suffixes: L tokens of a row, K input channels, N outputs, D hidden size.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from understudy_worker.decoding import ROW_TOKENS
from understudy_worker.edge.layers import Joint, Weights, embeddings_KV, head_KV, is_tied
from understudy_worker.edge.matrices import Matrix, plain
from understudy_worker.edge.rounding import UNSEEN, Split, round_matrix
from understudy_worker.forward import Tokens, states_of
from understudy_worker.prefixes import Branches, Tree
from understudy_worker.prune import decoder_layers
from understudy_worker.turns import TURN
from understudy_worker.wire import Precision

# Tokens that are in 8 bits whatever the precision, of the vocabulary: tokenizers number theirs by how often they occur.
FREQUENT = 1 / 8
# Layers up to which a model's matrices have as many channels in 4 bits as `Joint.share` says; errors of more layers add
# up, so theirs have fewer, by the square of the depth.
SHALLOW = 8
# Of the other tokens' channels, how many are in 4 bits.
RARE_SHARES = {"int8": 0.0, "int4": 1.0}
# Of each matrix's channels, how many stay in fp16: those of the largest inputs. A tenth of them makes up 40% to 90% of
# what rounding all to 8 bits costs (measured on SmolLM2). Beside channels in 4 bits fewer pay for their bytes.
KEPT = {"int8": 0.15, "int4": 0.06}
# What an error in an embedding counts that is read, of what one in the output matrix does in the mean.
READING = 0.1
# Of each channel's own sum of squares, added to it: how little a matrix moves to make up for earlier errors where
# inputs say little about it. Less fits what is particular to the texts (measured on others: 0.02 leaves 0.0142 nats a
# token, 0.05 leaves 0.0127, this 0.0115).
FIT_DAMPING = 0.15


@dataclass(eq=False)
class Sums:
    """What a matrix is fitted and rounded by: sums over tokens of `weight * ...`, x the inputs in the rounded model."""

    inputs_KK: Tensor  # x x^T
    missing_NK: Tensor  # (output wanted - W x) x^T

    @classmethod
    def zeros(cls, channels: int, outputs: int) -> Sums:
        return cls(inputs_KK=torch.zeros(channels, channels), missing_NK=torch.zeros(outputs, channels))

    def add(self, x_LK: Tensor, missing_LN: Tensor, weight_L: Tensor) -> None:
        weighted_LK = x_LK * weight_L[:, None]
        self.inputs_KK.addmm_(weighted_LK.T, x_LK)
        self.missing_NK.addmm_(missing_LN.T, weighted_LK)

    def fitted(self, weight_KN: Tensor) -> Tensor:
        """The matrix that comes nearest to the outputs wanted, by ridge regression on what is missing."""
        damped_KK = self.inputs_KK.double()
        own_K = damped_KK.diagonal()
        own_K.mul_(1 + FIT_DAMPING).add_(UNSEEN * float(own_K.mean()) or 1.0)
        change_KN = torch.cholesky_solve(self.missing_NK.T.double(), torch.linalg.cholesky(damped_KK))
        return weight_KN + change_KN.float()


def rounded(weight_KN: Tensor, inputs_KK: Tensor, *, share: float, kept: float) -> Matrix:
    """With these shares of its channels in 4 bits and in fp16, the others in 8; in fp32 where they do not divide into
    blocks."""
    split = Split.of(len(weight_KN), share, kept)
    return weight_KN.clone() if split is None else round_matrix(weight_KN, inputs_KK, split=split)


class _Stop(Exception):
    """Raised in a hook: what comes after is not needed."""


@dataclass(eq=False)
class _Row:
    """Sequences laid end to end, on their way through the layers; `read` calls a layer on states of theirs."""

    read: Callable[[nn.Module, Tensor], Tensor]
    exact_1LD: Tensor
    rounded_1LD: Tensor


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a linear module reads, and the residual stream that its output is added to, if it is."""

    x_LK: Tensor
    before_LD: Tensor | None


class _Layer:
    """One layer, as it is and as it is being rounded."""

    def __init__(self, layer: nn.Module, joints: Sequence[Joint]) -> None:
        self.exact = layer
        self.rounded = copy.deepcopy(layer)
        self._joints = joints

    def round(self, rows: Sequence[_Row], *, scale: float, kept: float) -> dict[str, Matrix]:
        """All its matrices, with `scale` times their joints' share of channels in 4 bits; the rows' states are then
        those behind the layer."""
        exact = [self._watch(self.exact, row, row.exact_1LD) for row in rows]
        found: dict[str, Matrix] = {}
        for joint in self._joints:
            weight_KN = joint.weight_KN(self.exact)
            sums = Sums.zeros(*weight_KN.shape)
            for row, (_, wanted) in zip(rows, exact, strict=True):
                self._add(sums, weight_KN, wanted[joint.name], self._see(joint, row))
            fitted_KN = sums.fitted(weight_KN)
            found[joint.name] = rounded(fitted_KN, sums.inputs_KK, share=scale * joint.share, kept=kept)
            joint.put(self.rounded, plain(found[joint.name]))
        for row, (exact_1LD, _) in zip(rows, exact, strict=True):
            row.exact_1LD = exact_1LD
            row.rounded_1LD, _ = self._watch(self.rounded, row, row.rounded_1LD)
        return found

    @staticmethod
    def _add(sums: Sums, weight_KN: Tensor, wanted: _Seen, seen: _Seen) -> None:
        """An error in what is added to the residual stream counts as much as the norm behind it lets through."""
        missing_LN = (wanted.x_LK - seen.x_LK) @ weight_KN
        weight_L = torch.ones(len(missing_LN))
        if wanted.before_LD is not None and seen.before_LD is not None:
            missing_LN += wanted.before_LD - seen.before_LD
            weight_L = 1 / wanted.before_LD.pow(2).mean(dim=1)
        sums.add(seen.x_LK, missing_LN, weight_L)

    def _see(self, joint: Joint, row: _Row) -> _Seen:
        """What the joint reads in the rounded layer, whose earlier joints are rounded already."""
        _, seen = self._watch(self.rounded, row, row.rounded_1LD, until=joint)
        return seen[joint.name]

    def _watch(
        self, layer: nn.Module, row: _Row, states_1LD: Tensor, *, until: Joint | None = None
    ) -> tuple[Tensor, dict[str, _Seen]]:
        """States behind the layer, and what its joints see. Of a joint that nothing but it is asked about, what comes
        after is left out unless the residual stream before it has to be found from there."""
        inputs: dict[str, Tensor] = {}
        added: dict[str, Tensor] = {}

        def hook(joint: Joint) -> Callable[[Any, Any, Tensor], None]:
            def watch(_: Any, arguments: tuple[Tensor, ...], output: Tensor) -> None:
                inputs[joint.name] = arguments[0][0]
                if joint.adds:
                    added[joint.name] = output[0]
                elif joint is until:
                    raise _Stop

            return watch

        hooks = [joint.of(layer)[0].register_forward_hook(hook(joint)) for joint in self._joints]
        out_1LD = states_1LD
        try:
            out_1LD = row.read(layer, states_1LD)
        except _Stop:
            pass
        finally:
            for one in hooks:
                one.remove()
        before_LD = out_1LD[0]
        seen = {}
        for joint in reversed(self._joints):
            if joint.adds and joint.name in added:
                before_LD = before_LD - added[joint.name]
            if joint.name in inputs:
                seen[joint.name] = _Seen(inputs[joint.name], before_LD if joint.adds else None)
        return out_1LD, seen


@torch.no_grad()
def rounded_weights(
    model: PreTrainedModel,
    sequences: Sequence[Tokens],
    *,
    joints: Sequence[Joint],
    precision: Precision,
    progress: Callable[[int, int], None],
) -> Weights:
    """The model's matrices for inputs such as the sequences. `progress` is told how many of how many parts are done."""
    if model.device.type != "cpu":
        model = copy.deepcopy(model).cpu()
    owner, name = decoder_layers(model)
    layers = getattr(owner, name)
    parts = len(layers) + 1
    with TURN:
        embeddings, head = _vocabulary(model, sequences, precision=precision)
    progress(1, parts)
    read_KV = torch.cat([plain(group) for group in embeddings], dim=1)
    rows = [_enter(model, layers[0], tree, read_KV) for tree in _trees(sequences)]
    scale = min(1.0, SHALLOW / len(layers)) ** 2 if precision == "int4" else 0.0
    found = []
    for number, layer in enumerate(layers, start=2):
        with TURN:
            found.append(_Layer(layer, joints).round(rows, scale=scale, kept=KEPT[precision]))
        progress(number, parts)
    return Weights(embeddings=embeddings, head=head, layers=found)


def _vocabulary(
    model: PreTrainedModel, sequences: Sequence[Tokens], *, precision: Precision
) -> tuple[list[Matrix], list[Matrix] | None]:
    """Embeddings and output matrix, the latter rounded for the states behind the sequences' tokens. A matrix that is
    both is rounded for both: an embedding is read as it is, so an error counts alike in each of its channels."""
    read_KV = embeddings_KV(model)
    same_KK = torch.eye(len(read_KV))
    states_KK = torch.zeros_like(same_KK)
    for tree in _trees(sequences):
        states_LD = _read(model, tree)
        states_KK.addmm_(states_LD.T, states_LD)
    if not is_tied(model):
        head = _in_groups(head_KV(model), states_KK, precision=precision)
        return _in_groups(read_KV, same_KK, precision=precision), head
    mean = float(states_KK.diagonal().mean())
    return _in_groups(read_KV, states_KK + READING * mean * same_KK, precision=precision), None


def _in_groups(table_KV: Tensor, inputs_KK: Tensor, *, precision: Precision) -> list[Matrix]:
    """Frequent tokens, then the others, where those are stored otherwise."""
    frequent = round(FREQUENT * table_KV.shape[1])
    parts_KV = table_KV.tensor_split([frequent], dim=1) if RARE_SHARES[precision] else [table_KV]
    shares = (0.0, RARE_SHARES[precision])
    kept = KEPT[precision]
    return [
        rounded(part_KV, inputs_KK, share=share, kept=kept) for part_KV, share in zip(parts_KV, shares, strict=False)
    ]


def _trees(sequences: Sequence[Tokens]) -> Iterator[Tree]:
    """Rows of sequences. What those of a row begin with alike is there once: it would outweigh all else."""
    row: list[tuple[int, ...]] = []
    for tokens in sequences:
        if row and sum(map(len, row)) + len(tokens) > ROW_TOKENS:
            yield Tree.of(row)
            row = []
        row.append(tokens.ids)
    if row:
        yield Tree.of(row)


def _read(model: PreTrainedModel, tree: Tree) -> Tensor:
    """states_LD after the final norm of the tree's row."""
    return states_of(model.base_model, tree.ids, tree.positions, Branches(tree, device=model.device))


def _enter(model: PreTrainedModel, first: nn.Module, tree: Tree, read_KV: Tensor) -> _Row:
    """What the first layer gets, as the model is and with its embeddings rounded."""
    entered: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []

    def hook(_: Any, arguments: tuple[Any, ...], how: dict[str, Any]) -> None:
        states_1LD, *more = arguments
        entered.append((states_1LD, tuple(more), how))
        raise _Stop

    handle = first.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        _read(model, tree)
    except _Stop:
        pass
    finally:
        handle.remove()
    ((exact_1LD, more, how),) = entered
    ids_L = torch.tensor(tree.ids)
    change_LD = read_KV.T[ids_L] - embeddings_KV(model).T[ids_L]
    return _Row(
        lambda layer, states: layer(states, *more, **how), exact_1LD=exact_1LD, rounded_1LD=exact_1LD + change_LD
    )
