"""What a frozen teacher computed at a sequence's response positions, on this worker's disk, keyed by all that its bits
depend on.

An entry is one file: a line of JSON, the tensors, and the SHA-256 of all before it. It appears whole or not at all, and
several workers may share the folder.

Shape suffixes: N response positions, D hidden size.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from torch import Tensor
from transformers import PretrainedConfig

from understudy_worker.digests import canonical_json, json_digest
from understudy_worker.forward import Tokens

log = logging.getLogger("understudy")

FORMAT = 1
# Bytes of the header, and the step to which each tensor is filled up: so that each begins where any kernel would have
# it.
HEADER_BYTES = 256
STEP_BYTES = 64
DIGEST_BYTES = 32
# Eviction goes down to this share of the bound; the folder is read again after the rest of it has been added.
KEPT_SHARE = 0.9
# Where entries lie, those of no project and those of each.
ENTRIES = ("??/*", "proj_*/??/*")
# Of a configuration: where it came from and how it was loaded.
NO_PART_OF_THE_FUNCTION = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}


@dataclass(frozen=True)
class Entry:
    """`states_ND` after the final norm, in the compute dtype; `logsumexp_N` fp32 and `argmax_N` int32 of the logits."""

    states_ND: Tensor
    logsumexp_N: Tensor
    argmax_N: Tensor


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal[1]
    key: str
    dtype: Literal["float32", "bfloat16"]
    positions: PositiveInt
    size: PositiveInt

    def tensors(self) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shapes and dtypes in the order of the file: log-sum-exp, argmax, states."""
        states = torch.float32 if self.dtype == "float32" else torch.bfloat16
        return [((self.positions,), torch.float32), ((self.positions,), torch.int32),
                ((self.positions, self.size), states)]  # fmt: skip


def config_digest(config: PretrainedConfig) -> str:
    """Over what a model's configuration adds to its weights: bases of rotations, epsilons, soft caps, scales."""
    said = json.loads(config.to_json_string(use_diff=False))
    return json_digest({name: value for name, value in said.items() if name not in NO_PART_OF_THE_FUNCTION})


@dataclass(frozen=True)
class Keys:
    """What entries of one teacher have in common, of all that their bits depend on."""

    weights_digest: str
    config_digest: str
    tokenizer_digest: str
    dtype: str
    fingerprint: str

    def of(self, tokens: Tokens) -> str:
        """SHA-256 over it and the sequence."""
        teacher = [self.weights_digest, self.config_digest, self.tokenizer_digest, self.dtype, self.fingerprint]
        return json_digest([FORMAT, *teacher, tokens.prompt_length, list(tokens.ids)])


def write_entry(entry: Entry, *, key: str) -> bytes:
    """The bytes of an entry's file; they depend on the entry and its key alone."""
    positions, size = entry.states_ND.shape
    dtype = str(entry.states_ND.dtype).removeprefix("torch.")
    header = {"format": FORMAT, "key": key, "dtype": dtype, "positions": positions, "size": size}
    parts = [canonical_json(header).ljust(HEADER_BYTES)]
    for tensor in (entry.logsumexp_N, entry.argmax_N, entry.states_ND):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        data = flat.view(torch.uint8).numpy().tobytes()
        parts.append(data.ljust(_filled(len(data)), b"\0"))
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read_entry(data: bytes, *, key: str) -> Entry | None:
    """None for bytes that are not exactly an entry of this key."""
    body = memoryview(data)[:-DIGEST_BYTES]
    if hashlib.sha256(body).digest() != data[-DIGEST_BYTES:]:
        return None
    try:
        header = _Header.model_validate_json(bytes(body[:HEADER_BYTES]))
    except ValidationError:  # whole, but never written by `write_entry`
        return None
    found, place = [], HEADER_BYTES
    for shape, dtype in header.tensors():
        count = torch.Size(shape).numel()
        end = place + _filled(count * dtype.itemsize)
        if end > len(body):
            return None
        # A copy, in memory of torch's own: some kernels choose their path by alignment.
        found.append(torch.frombuffer(bytearray(body[place:end]), dtype=dtype)[:count].clone().reshape(shape))
        place = end
    if place != len(body) or header.key != key:
        return None
    return Entry(logsumexp_N=found[0], argmax_N=found[1], states_ND=found[2])


def _filled(length: int) -> int:
    return -(-length // STEP_BYTES) * STEP_BYTES


class TeacherCache:
    """A folder of entries of at most `most_bytes`; those used longest ago go first.

    Each worker that shares the folder reads it again after adding a tenth of the bound, so W of them may together
    exceed the bound by W - 1 tenths for a while.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._bounded = folder
        self._most_bytes = most_bytes
        # Bytes that may be added before the folder is read (again).
        self._room = 0.0

    def of(self, project: str) -> TeacherCache:
        """The entries of one project, within the same bound: whether another has asked the same is nobody's to know."""
        cache = TeacherCache(self._folder / project, most_bytes=self._most_bytes)
        cache._bounded = self._bounded
        return cache

    def get(self, key: str) -> Entry | None:
        """A damaged file is deleted and counts as absent."""
        place = self._place(key)
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            return None
        entry = read_entry(data, key=key)
        with suppress(FileNotFoundError):  # evicted meanwhile
            if entry is None:
                log.warning("teacher cache: entry %s is damaged, deleted", key)
                place.unlink()
            else:
                os.utime(place)
        return entry

    def put(self, key: str, data: bytes) -> None:
        """Keep the bytes of an entry; a full disk keeps nothing, and nothing else depends on it."""
        try:
            self._write(key, data)
        except OSError as error:
            log.warning("teacher cache: an entry was not kept (%s)", error.strerror)
            return
        self._room -= len(data)
        if self._room < 0:
            self._evict(keep=self._place(key))

    def _write(self, key: str, data: bytes) -> None:
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        # A folder: what a killed worker leaves is cleared as other unfinished folders are (`disk.clear_leftovers`).
        with tempfile.TemporaryDirectory(prefix=".making-", dir=self._bounded) as making:
            path = Path(making) / key
            path.write_bytes(data)
            os.replace(path, place)

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _evict(self, *, keep: Path) -> None:
        """Read the folder, and delete what was used longest ago until the rest leaves room."""
        files = []
        for path in chain.from_iterable(self._bounded.glob(pattern) for pattern in ENTRIES):
            with suppress(FileNotFoundError):  # another worker evicts too
                found = path.stat()
                files.append((found.st_mtime_ns, found.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= KEPT_SHARE * self._most_bytes:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
        self._room = (1 - KEPT_SHARE) * self._most_bytes
