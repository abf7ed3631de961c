"""Rounded weights: what is stored is what was meant, and inputs that go together are made use of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from precision import FLOOR_NATS, OTHER_RUNTIME, distance
from torch import Tensor

from understudy_worker.edge.files import FILE_BYTES, GRAPH_FILE, MOST_FILES, write_graph
from understudy_worker.edge.graph import FLOAT, INT64, Graph
from understudy_worker.edge.matrices import Matrix, add_linear, plain
from understudy_worker.edge.rounding import BLOCK_ALONE, Rounded, Split, round_matrix
from understudy_worker.edge.vocabulary import AT_ONCE, CHUNK, Vocabulary, add_logprobs, add_lookup

SHARES = [0.0, 0.5, 1.0]


def correlated(tokens: int, channels: int, *, seed: int = 0) -> Tensor:
    """Inputs of a few directions and one channel far above the others, as layers see them."""
    torch.manual_seed(seed)
    inputs_LK = torch.randn(tokens, channels // 4) @ torch.randn(channels // 4, channels)
    inputs_LK += 0.1 * torch.randn(tokens, channels)
    inputs_LK[:, 7] += 100
    return inputs_LK


def rounded(share: float, *, kept: float = 0.0, inputs_KK: Tensor | None = None, outputs: int = 48) -> Rounded:
    """With these shares of its channels in 4 bits and in fp16; of unrelated inputs the middle channels' are the
    smallest."""
    torch.manual_seed(1)
    weight_KN = torch.randn(128, outputs)
    if inputs_KK is None:
        inputs_KK = torch.diag((torch.arange(128) - 64.0).abs() + 1)
    split = Split.of(128, share, kept)
    assert split is not None
    return round_matrix(weight_KN, inputs_KK, split=split)


def run(
    graph: Graph, folder: Path, x: np.ndarray[tuple[int, ...], np.dtype[np.float32]], *, output: str = "y"
) -> Tensor:
    """What the graph, as stored, makes of its one input."""
    write_graph(graph, folder, tick=lambda: None)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run([output], {"x": x})[0])


def linear(matrix: Matrix, folder: Path) -> Tensor:
    """The matrix as the graph has it: what it makes of unit vectors."""
    graph = Graph()
    graph.inputs, graph.outputs = [("x", FLOAT, ["n", 128])], [("y", FLOAT, ["n", "outputs"])]
    graph.op("Identity", add_linear(graph, "x", "w", matrix), name="y")
    return run(graph, folder, np.eye(128, dtype=np.float32))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kept", [0.0, 0.25])
def test_the_graph_has_the_matrix_that_was_meant(share: float, kept: float, tmp_path: Path) -> None:
    matrix = rounded(share, kept=kept)
    assert linear(matrix, tmp_path).numpy() == pytest.approx(matrix.weight_KN().numpy(), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("share", [*SHARES, None])
@pytest.mark.parametrize("kept", [0.0, 0.25])
def test_a_look_up_has_the_columns_that_were_meant(share: float | None, kept: float, tmp_path: Path) -> None:
    """In two groups, the first of which is in 8 bits, or in fp32."""
    sizes = (CHUNK + 40, 2 * CHUNK + 100)
    groups: list[Matrix] = (
        [torch.randn(128, sum(sizes))]
        if share is None
        else [rounded(0.0, kept=kept, outputs=sizes[0]), rounded(share, kept=kept, outputs=sizes[1])]
    )
    ends = [0, CHUNK - 1, CHUNK, CHUNK + 39, CHUNK + 40, 2 * CHUNK + 39, 2 * CHUNK + 40, sum(sizes) - 1, 5]
    graph = Graph()
    graph.inputs, graph.outputs = [("x", INT64, ["n"])], [("y", FLOAT, ["n", 128])]
    graph.op("Identity", add_lookup(graph, Vocabulary.of(graph, "w", groups), "x"), name="y")
    expected = torch.cat([plain(group) for group in groups], dim=1)[:, ends].T
    found = run(graph, tmp_path, np.array(ends, np.int64))
    assert found.numpy() == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("share", SHARES)
def test_logits_are_of_every_part_of_what_is_stored_together(share: float, tmp_path: Path) -> None:
    groups: list[Matrix] = [rounded(size, kept=0.25, outputs=of) for size, of in ((0.0, 40), (share, CHUNK + AT_ONCE))]
    whole_KV = torch.cat([plain(group) for group in groups], dim=1)
    targets = [0, 39, 40, 39 + AT_ONCE, 40 + AT_ONCE, 39 + CHUNK, 40 + CHUNK, whole_KV.shape[1] - 1]
    states = torch.randn(len(targets), 128) / 8
    graph = Graph()
    graph.inputs, graph.outputs = (
        [("x", FLOAT, ["n", 128])],
        [("logprobs", FLOAT, ["n"]), ("top_ids", INT64, ["n", 20])],
    )
    columns = graph.constant("columns", whole_KV[:, targets].T.numpy())
    add_logprobs(graph, Vocabulary.of(graph, "w", groups), "x", columns)
    theirs, exact = (
        torch.log_softmax(x @ whole, dim=-1) for x, whole in ((states, whole_KV), (states.double(), whole_KV.double()))
    )
    found, rows = run(graph, tmp_path, states.numpy(), output="logprobs"), range(len(targets))
    distance(found, theirs[rows, targets], exact[rows, targets], floor=FLOOR_NATS, times=OTHER_RUNTIME).check(
        "log-probabilities, nats"
    )
    assert run(graph, tmp_path, states.numpy(), output="top_ids")[:, 0].tolist() == exact.argmax(dim=-1).tolist()


@pytest.mark.parametrize(("share", "most"), [(0.0, 0.5 / 255), (1.0, 0.5 / 15)])
def test_alone_each_weight_is_within_half_a_step(share: float, most: float) -> None:
    """With inputs that have nothing to do with each other GPTQ is rounding to the nearest."""
    torch.manual_seed(1)
    weight_KN = torch.randn(128, 48)
    error_KN = (rounded(share, inputs_KK=torch.eye(128)).weight_KN() - weight_KN).abs()
    blocks_BbN = weight_KN.view(-1, BLOCK_ALONE, 48)
    spans_BN = blocks_BbN.amax(1).clamp(min=0) - blocks_BbN.amin(1).clamp(max=0)
    typical = float((error_KN.view(-1, BLOCK_ALONE, 48) / spans_BN[:, None]).mean())
    assert 0.3 * most < typical < 0.6 * most


@pytest.mark.parametrize("share", SHARES)
def test_inputs_that_go_together_make_up_for_errors(share: float) -> None:
    inputs_LK, others_LK = correlated(2000, 128).split(1000)
    torch.manual_seed(1)
    weight_KN = torch.randn(128, 48)

    def error(matrix: Rounded) -> float:
        return float((others_LK @ (matrix.weight_KN() - weight_KN)).pow(2).mean())

    nearest = error(rounded(share, inputs_KK=torch.eye(128)))
    fitted = error(rounded(share, inputs_KK=inputs_LK.T @ inputs_LK))
    # The one channel that always is large goes together with no other: kept, it costs nothing.
    with_kept = error(rounded(share, inputs_KK=inputs_LK.T @ inputs_LK, kept=0.25))
    assert fitted < nearest
    assert with_kept < nearest / 4


def test_channels_of_large_inputs_have_more_bits() -> None:
    matrix = rounded(0.5, kept=0.25)
    torch.manual_seed(1)
    error_K = (matrix.weight_KN() - torch.randn(128, 48)).abs().mean(dim=1)
    few_K, many_K, kept_K = (error_K[place] for place in matrix.order_K.split([64, 32, 32]))
    assert few_K.min() > 8 * many_K.max()
    assert many_K.min() > 8 * kept_K.max()


def test_columns_of_zeros_and_large_weights_are_stored(tmp_path: Path) -> None:
    weight_KN = torch.randn(128, 8)
    weight_KN[:, 0], weight_KN[:, 1], weight_KN[:32, 2] = 0, 3000, -1e-7
    split = Split.of(128, 1.0, 0.0)
    assert split is not None
    found = linear(round_matrix(weight_KN, torch.eye(128), split=split), tmp_path)
    assert found[:, 0].abs().max() == 0
    assert found[:, 1].numpy() == pytest.approx(np.full(128, 3000), rel=1e-3)


@pytest.mark.parametrize(
    ("channels", "share", "kept", "split"),
    [
        (576, 0.0, 0.0, Split(few=0, many=576, kept=0, few_block=16, block=16)),
        (576, 0.0, 0.1, Split(few=0, many=512, kept=64, few_block=16, block=16)),
        (1536, 0.53, 0.05, Split(few=800, many=672, kept=64, few_block=16, block=32)),
        (576, 1.0, 0.0, Split(few=576, many=0, kept=0, few_block=16, block=32)),
        (576, 1.0, 0.05, Split(few=544, many=0, kept=32, few_block=16, block=32)),
        (32, 0.2, 0.1, Split(few=0, many=32, kept=0, few_block=16, block=16)),
        (100, 0.5, 0.1, Split(few=60, many=20, kept=20, few_block=10, block=20)),
        (9, 1.0, 0.1, Split(few=0, many=9, kept=0, few_block=9, block=9)),
        (7, 1.0, 0.1, None),
    ],
)
def test_channels_are_shared_out_in_blocks(channels: int, share: float, kept: float, split: Split | None) -> None:
    assert Split.of(channels, share, kept) == split


def test_files_hold_whole_tensors_and_are_few(tmp_path: Path) -> None:
    graph = Graph()
    graph.inputs, graph.outputs = [("x", FLOAT, [1])], [("y", FLOAT, [1])]
    graph.op("Identity", "x", name="y")
    sizes = [100, 300_000, 900_000, 2_000_000, 10, 400_000]
    for number, size in enumerate(sizes):
        graph.constant(f"w{number}", np.full(size, number, np.float32))
    write_graph(graph, tmp_path, tick=lambda: None)
    weights = sorted(tmp_path.glob("weights-*.bin"))
    assert [path.stat().st_size > FILE_BYTES for path in weights] == [False, False, True, False]
    model = onnx.load(tmp_path / GRAPH_FILE)
    for number, tensor in enumerate(model.graph.initializer):
        assert (onnx.numpy_helper.to_array(tensor) == int(tensor.name[1:])).all(), number


def test_there_are_never_too_many_files(tmp_path: Path) -> None:
    graph = Graph()
    for number in range(200):
        graph.constant(f"w{number}", np.zeros(600_000, np.float32))
    graph.inputs, graph.outputs = [("x", FLOAT, [1])], [("y", FLOAT, [1])]
    graph.op("Identity", "x", name="y")
    write_graph(graph, tmp_path, tick=lambda: None)
    assert len(list(tmp_path.glob("weights-*.bin"))) <= MOST_FILES
