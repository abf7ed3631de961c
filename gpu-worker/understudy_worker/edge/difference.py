"""How far the log-probabilities of an artifact are from PyTorch's: of the very files, in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from understudy_worker.edge.files import GRAPH_FILE
from understudy_worker.edge.graph import Array
from understudy_worker.errors import WorkerError
from understudy_worker.forward import Tokens
from understudy_worker.models import LoadedModel
from understudy_worker.scoring import logprobs
from understudy_worker.turns import TURN
from understudy_worker.wire import Difference, Precision

# Mean of the absolute difference, nats a token, above which an export is refused.
ALLOWED = {"fp32": 1e-4, "int8": 0.02, "int4": 0.15}
# What to do about it.
INSTEAD = {
    "fp32": "this model cannot be exported",
    "int8": "export it in fp32",
    "int4": "export it in int8 or fp32",
}


class Artifact:
    """An export's graph in onnxruntime, as the edge runs it: as it was built, on one thread."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"])
        self.outputs = [port.name for port in self._session.get_outputs()]
        self._past = {port.name: port.shape for port in self._session.get_inputs() if port.name.startswith("past.")}

    def run(self, feeds: dict[str, Array], names: Sequence[str] | None = None) -> dict[str, Array]:
        """The named outputs (all unless said); nothing was read before unless the feeds hold a past."""
        batch = len(feeds["input_ids"])
        nothing = {
            name: np.zeros((batch, heads, 0, size), np.float32)
            for name, (_, heads, _, size) in self._past.items()
            if name not in feeds
        }
        names = list(names or self.outputs)
        return dict(zip(names, self._session.run(names, {**feeds, **nothing}), strict=True))

    def logprobs(self, tokens: Tokens) -> Array:
        """Of the response."""
        length = len(tokens)
        feeds: dict[str, Array] = {
            "input_ids": np.array([tokens.ids], np.int64),
            "position_ids": np.arange(length, dtype=np.int64)[None],
            "seqlens_k": np.array([length - 1], np.int32),
            "total_length": np.array([length], np.int32),
            "rows": np.arange(tokens.prompt_length - 1, length - 1, dtype=np.int64),
            "targets": np.array(tokens.response, np.int64),
        }
        return self.run(feeds, ["logprobs"])["logprobs"]


def difference(
    artifact: Artifact,
    loaded: LoadedModel,
    sequences: Sequence[Tokens],
    *,
    precision: Precision,
    tick: Callable[[], None],
) -> Difference:
    """Over all response tokens of the sequences. Raises WorkerError where the mean is more than is allowed."""
    values = []
    for tokens in sequences:
        ((expected,),) = logprobs(loaded, [[tokens]], tick=tick)
        with TURN:
            values.append(np.abs(artifact.logprobs(tokens).astype(np.float64) - np.array(expected)))
        tick()
    differences = np.concatenate(values)
    mean, allowed = float(differences.mean()), ALLOWED[precision]
    if not mean <= allowed:
        raise WorkerError(
            "export_differs",
            f"in {precision} the model's log-probabilities differ from its own in fp32 by {mean:.3g} nats a token, more"
            f" than the {allowed:g} allowed: {INSTEAD[precision]}",
        )
    return Difference(
        responses=len(values), tokens=len(differences), mean=mean, max=float(differences.max()), allowed=allowed
    )
