"""The promise about fp32, as one assertion: how far ours may be from fp64, measured on the machine that runs the test.

    ours    = max |our number - fp64's|                     over all numbers that a test compares
    theirs  = max |transformers' own fp32 number - fp64's|  over the same numbers
    allowed = 2 * theirs + floor

An export runs in onnxruntime, which is another implementation with kernels of its own: it may be `OTHER_RUNTIME` times
as far as transformers, not 2. The promise for the worker does not cover it.

The floor is 1e-6 nats for log-probabilities, and 4 units in the last place of the largest number for logits, states and
log-sum-exps. A processor's kernels move `ours` and `theirs` alike, so that no bound is one machine's. Two of our own
fp32 numbers are never compared with each other: each is compared with fp64.

Shape suffixes: L tokens of a sequence, N response positions of all sequences, D hidden size, V vocabulary, K ids of
each position, S sequences.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, PreTrainedModel

from understudy_worker.forward import Tokens, response_targets
from understudy_worker.models import LoadedModel

# Of log-probabilities, in nats: two roundings of a number between 4 and 8.
FLOOR_NATS = 1e-6
# Of other numbers, in units in the last place of the largest.
FLOOR_ULPS = 4
EPSILON = 2.0**-23
# How many times as far as the peer's: our own forward, and an export's in onnxruntime (measured: up to 4.5).
OURS = 2
OTHER_RUNTIME = 10


# Functions that promote nothing: a teacher's stored fp32 numbers meet a student's in fp64.
SAME_DTYPE = (torch.lerp, Tensor.lerp)


class FullPrecision(TorchFunctionMode):
    """fp64 stays fp64 where a model's code casts to fp32, as its norms and eager softmax do."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in SAME_DTYPE and any(isinstance(one, Tensor) and one.dtype == torch.float64 for one in args):
            args = tuple(one.double() if isinstance(one, Tensor) else one for one in args)
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if func is Tensor.float:
                return args[0]
            args = tuple(torch.float64 if one is torch.float32 else one for one in args)
            kwargs = {key: torch.float64 if one is torch.float32 else one for key, one in kwargs.items()}
        return func(*args, **kwargs)


def widen(model: torch.nn.Module) -> None:
    """Make every parameter fp64. Buffers stay: the angles of rotary embeddings are fp32 in transformers, and part of
    what the model computes."""
    for parameter in model.parameters():
        parameter.data = parameter.data.double()


@dataclass(frozen=True)
class Distance:
    """How far from fp64 ours and the peer's numbers are, and how far ours may be."""

    ours: float
    theirs: float
    allowed: float

    def check(self, what: str) -> None:
        assert self.ours <= self.allowed, (
            f"{what}: ours are {self.ours:.3g} from fp64, transformers' own fp32 {self.theirs:.3g}; "
            f"allowed {self.allowed:.3g}"
        )


def allowed(theirs: float, floor: float, *, times: float = OURS) -> float:
    return times * theirs + floor


def ulps(exact: Tensor) -> float:
    """The floor for logits, states, log-sum-exps and gradients."""
    return FLOOR_ULPS * EPSILON * float(exact.abs().max())


def distance(ours: Tensor, theirs: Tensor, exact: Tensor, *, floor: float, times: float = OURS) -> Distance:
    """Of tensors of one shape; `exact` is fp64. NaN anywhere makes a distance NaN, which no check passes."""
    assert exact.dtype == torch.float64 and ours.shape == theirs.shape == exact.shape and exact.numel() > 0
    far, peer = (float((one.double() - exact).abs().max()) for one in (ours, theirs))
    return Distance(far, peer, allowed(peer, floor, times=times))


def gradient_distance(ours: Tensor, theirs: Tensor, exact: Tensor) -> Distance:
    """Of flat gradients: |ours - exact| / |exact| in the L2 norm, where the peer is the plain formula in fp32."""
    assert exact.dtype == torch.float64 and ours.shape == theirs.shape == exact.shape and float(exact.norm()) > 0
    far, peer = (float((one.double() - exact).norm() / exact.norm()) for one in (ours, theirs))
    return Distance(far, peer, allowed(peer, FLOOR_ULPS * EPSILON))


def assert_close(ours: Tensor, theirs: Tensor, exact: Tensor, *, what: str) -> None:
    """Logits, states, log-sum-exps: ours against the peer's and fp64's."""
    distance(ours, theirs, exact, floor=ulps(exact)).check(what)


@dataclass(frozen=True)
class Greedy:
    """transformers' greedy continuation, and whether each of its tokens was clearly the best: either choice is right
    where the two best logits are closer in fp64 than rounding may move both of them."""

    tokens: list[int]
    clear: bool


def _clear(peer_NV: Tensor, exact_NV: Tensor) -> Tensor:
    most = distance(peer_NV, peer_NV, exact_NV, floor=ulps(exact_NV)).allowed
    best_N2 = exact_NV.topk(2, dim=1).values
    return best_N2[:, 0] - best_N2[:, 1] > 2 * most


class Oracle:
    """One model twice, with transformers' own attention: in fp64, and in fp32 as the peer. What fp64 gives a sequence
    is kept."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._peer = copy.deepcopy(model).eval()
        self._peer.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")
        self._exact = copy.deepcopy(self._peer)
        widen(self._exact)
        self._kept: dict[Tokens, Tensor] = {}

    @classmethod
    def of(cls, source: LoadedModel | PreTrainedModel | Path) -> Oracle:
        """A model as it is now: later changes of its weights do not show here."""
        if isinstance(source, Path):
            source = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        return cls(source.model if isinstance(source, LoadedModel) else source)

    @torch.inference_mode()
    def exact_logits(self, tokens: Tokens) -> Tensor:
        """logits_NV in fp64 that predict the response."""
        if tokens not in self._kept:
            with FullPrecision():
                logits_1LV = self._exact(
                    input_ids=torch.tensor([tokens.ids]), use_cache=False, logits_to_keep=len(tokens.response) + 1
                ).logits
            assert logits_1LV.dtype == torch.float64
            self._kept[tokens] = logits_1LV[0, :-1].clone()
        return self._kept[tokens]

    @torch.inference_mode()
    def peer_logits(self, tokens: Tokens) -> Tensor:
        """logits_NV of transformers' own forward in fp32."""
        logits_1LV: Tensor = self._peer(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits
        return logits_1LV[0, tokens.prompt_length - 1 : -1]

    def logits(self, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """logits_NV of all sequences: the peer's and fp64's."""
        return (
            torch.cat([self.peer_logits(tokens) for tokens in sequences]),
            torch.cat([self.exact_logits(tokens) for tokens in sequences]),
        )

    @torch.inference_mode()
    def states(self, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """states_ND after the final norm that predict the responses: the peer's and fp64's."""

        def of(model: PreTrainedModel) -> Tensor:
            return torch.cat(
                [
                    model.base_model(input_ids=torch.tensor([tokens.ids]), use_cache=False).last_hidden_state[
                        0, tokens.prompt_length - 1 : -1
                    ]
                    for tokens in sequences
                ]
            )

        with FullPrecision():
            exact_ND = of(self._exact)
        return of(self._peer), exact_ND

    def logprobs(self, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """logprobs_NV, nats, that predict the responses: the peer's log-softmax in fp32, and fp64's."""
        peer_NV, exact_NV = self.logits(sequences)
        return peer_NV.log_softmax(dim=1), exact_NV.log_softmax(dim=1)

    def of_responses(self, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """logprobs_N of the response tokens: the peer's and fp64's."""
        targets_N1 = response_targets(sequences, device=torch.device("cpu"))[:, None]
        theirs_NV, exact_NV = self.logprobs(sequences)
        return theirs_NV.gather(1, targets_N1)[:, 0], exact_NV.gather(1, targets_N1)[:, 0]

    def distance(
        self, sequences: Sequence[Tokens], ours: Sequence[Sequence[float]], *, times: float = OURS
    ) -> Distance:
        """Of log-probabilities: `ours` has those of each sequence's response."""
        assert [len(values) for values in ours] == [len(tokens.response) for tokens in sequences]
        ours_N = torch.tensor([value for values in ours for value in values], dtype=torch.float64)
        return distance(ours_N, *self.of_responses(sequences), floor=FLOOR_NATS, times=times)

    def assert_as_exact(
        self, sequences: Sequence[Tokens], ours: Sequence[Sequence[float]], *, times: float = OURS
    ) -> None:
        """The promise: log-probabilities of the responses are at most 2 * theirs + 1e-6 nats from fp64's."""
        self.distance(sequences, ours, times=times).check("log-probabilities, nats a token")

    def assert_at(self, sequences: Sequence[Tokens], ids_NK: Tensor, ours_NK: Tensor) -> None:
        """The promise for any ids at each response position."""
        theirs_NK, exact_NK = (table_NV.gather(1, ids_NK) for table_NV in self.logprobs(sequences))
        distance(ours_NK, theirs_NK, exact_NK, floor=FLOOR_NATS).check("log-probabilities of ids, nats")

    def assert_sums_as_exact(self, sequences: Sequence[Tokens], ours: Sequence[float]) -> None:
        """The promise for a response's summed log-probability: T tokens may be T times as far."""
        lengths = [len(tokens.response) for tokens in sequences]
        theirs_N, exact_N = self.of_responses(sequences)
        token = distance(theirs_N, theirs_N, exact_N, floor=FLOOR_NATS)
        exact_S = torch.stack([part.sum() for part in exact_N.split(lengths)])
        for value, exact, length in zip(ours, exact_S.tolist(), lengths, strict=True):
            Distance(abs(value - exact), length * token.theirs, length * token.allowed).check(
                f"a sum over {length} tokens, nats"
            )

    def clear(self, sequences: Sequence[Tokens]) -> Tensor:
        """clear_N: where one token is clearly the best (see `Greedy`)."""
        return _clear(*self.logits(sequences))

    @torch.inference_mode()
    def greedy(self, prompts: Sequence[Sequence[int]], *, most: Sequence[int]) -> list[Greedy]:
        """transformers' own greedy continuations, each alone, of at most so many tokens."""
        outs = [
            self._peer.generate(
                torch.tensor([list(ids)]),
                do_sample=False,
                max_new_tokens=count,
                output_logits=True,
                return_dict_in_generate=True,
            )
            for ids, count in zip(prompts, most, strict=True)
        ]
        paths = [
            Tokens(tuple(out.sequences[0].tolist()), prompt_length=len(ids))
            for out, ids in zip(outs, prompts, strict=True)
        ]
        peer_NV = torch.cat([torch.cat(out.logits) for out in outs])
        clear_N = _clear(peer_NV, torch.cat([self.exact_logits(path) for path in paths]))
        lengths = [len(path.response) for path in paths]
        return [
            Greedy(list(path.response), bool(clear.all()))
            for path, clear in zip(paths, clear_N.split(lengths), strict=True)
        ]
