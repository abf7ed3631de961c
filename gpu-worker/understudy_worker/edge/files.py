"""The files of an export: the graph, its weights in files of a few MiB, the tokenizer.

Whoever runs the graph hands the weights to the runtime file by file and frees each, so that never two copies of all of
them are in memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedTokenizerBase

from understudy_worker.edge.graph import Array, Graph

GRAPH_FILE = "student.onnx"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
# Bytes of a file of weights, unless one tensor has more, or there would be too many files.
FILE_BYTES = 4 * 2**20
# An export has at most 64 files; three are not weights.
MOST_FILES = 61
# A smaller tensor stays in the graph's own file: shape inference reads some of them.
LEAST_BYTES = 1024
# Each tensor begins at a multiple of this, as processors like it.
ALIGNMENT = 64


def write_graph(graph: Graph, folder: Path, *, tick: Callable[[], None]) -> None:
    """The graph and its weights, as ONNX external data."""
    large = {name: value for name, value in graph.constants.items() if value.nbytes >= LEAST_BYTES}
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items() if name not in large]
    for number, part in enumerate(_files(large)):
        place = folder / f"weights-{number}.bin"
        with place.open("wb") as file:
            for name in part:
                file.write(bytes(-file.tell() % ALIGNMENT))
                constants.append(_external(name, large[name], place.name, offset=file.tell()))
                file.write(large[name].data)
        tick()
    (folder / GRAPH_FILE).write_bytes(graph.model(constants).SerializeToString(deterministic=True))


def _files(tensors: dict[str, Array]) -> list[list[str]]:
    """Which tensors go into which file, in order. Files grow where there would be too many."""
    size = FILE_BYTES
    while len(files := list(_fill(tensors, size))) > MOST_FILES:
        size *= 2
    return files


def _fill(tensors: dict[str, Array], size: int) -> Iterator[list[str]]:
    file: list[str] = []
    used = 0
    for name, value in tensors.items():
        room = value.nbytes + ALIGNMENT
        if file and used + room > size:
            yield file
            file, used = [], 0
        file.append(name)
        used += room
    if file:
        yield file


def _external(name: str, value: Array, location: str, *, offset: int) -> TensorProto:
    tensor = TensorProto(
        name=name,
        dims=value.shape,
        data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
        data_location=TensorProto.EXTERNAL,
    )
    for key, entry in (("location", location), ("offset", offset), ("length", value.nbytes)):
        tensor.external_data.add(key=key, value=str(entry))
    return tensor


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Its two files as transformers writes them; the second with the template and the tokens that begin and end, which
    transformers may keep elsewhere."""
    with tempfile.TemporaryDirectory(prefix="understudy-tokenizer-") as scratch:
        tokenizer.save_pretrained(scratch)
        config = json.loads((Path(scratch) / TOKENIZER_CONFIG_FILE).read_text(encoding="utf-8"))
        (folder / TOKENIZER_FILE).write_bytes((Path(scratch) / TOKENIZER_FILE).read_bytes())
    resolved = {key: getattr(tokenizer, key) for key in ("chat_template", "bos_token", "eos_token")}
    text = json.dumps({**config, **resolved}, ensure_ascii=False, indent=2)
    (folder / TOKENIZER_CONFIG_FILE).write_text(text, encoding="utf-8")
