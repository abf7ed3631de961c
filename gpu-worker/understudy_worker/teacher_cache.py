"""What a frozen teacher computed at a sequence's response positions, on this worker's disk, keyed by all that its bits
depend on.

An entry is one file: a line of JSON, the tensors, and the SHA-256 of all before it. It appears whole or not at all, and
several workers may share the folder.

Shape suffixes: N response positions, D hidden size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from understudy_worker.digests import canonical_json, json_digest
from understudy_worker.forward import Tokens

FORMAT = 1
# Bytes before the tensors, so that each begins where any kernel would have it.
HEADER_BYTES = 256
DIGEST_BYTES = 32
# Evicting down to this share of the bound leaves room before the folder must be read again.
KEPT_SHARE = 0.9


@dataclass(frozen=True)
class Entry:
    """`states_ND` after the final norm, in the compute dtype; `logsumexp_N` fp32 and `argmax_N` int32 of the logits."""

    states_ND: Tensor
    logsumexp_N: Tensor
    argmax_N: Tensor


def entry_key(*, weights_digest: str, tokenizer_digest: str, dtype: str, fingerprint: str, tokens: Tokens) -> str:
    """SHA-256 over all that an entry's bits depend on."""
    return json_digest(
        [FORMAT, weights_digest, tokenizer_digest, dtype, fingerprint, tokens.prompt_length, list(tokens.ids)]
    )


def write_entry(entry: Entry) -> bytes:
    """The bytes of an entry's file; they depend on the entry alone."""
    tensors = [tensor.detach().cpu().contiguous() for tensor in (entry.states_ND, entry.logsumexp_N, entry.argmax_N)]
    count, size = entry.states_ND.shape
    header = canonical_json(
        {"format": FORMAT, "dtype": str(entry.states_ND.dtype).removeprefix("torch."), "shape": [count, size]}
    )
    parts = [header.ljust(HEADER_BYTES)]
    for tensor in (tensors[1], tensors[2], tensors[0]):
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        parts.append(data.ljust(-(-len(data) // 64) * 64, b"\0"))
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def read_entry(data: bytearray) -> Entry | None:
    """None for bytes that are not exactly an entry's."""
    body, digest = memoryview(data)[:-DIGEST_BYTES], bytes(data[-DIGEST_BYTES:])
    if len(data) <= HEADER_BYTES + DIGEST_BYTES or hashlib.sha256(body).digest() != digest:
        return None
    header = json.loads(bytes(body[:HEADER_BYTES]))
    if header["format"] != FORMAT:
        return None
    count, size = header["shape"]
    place = HEADER_BYTES
    found = []
    for shape, dtype in (
        ((count,), torch.float32),
        ((count,), torch.int32),
        ((count, size), getattr(torch, header["dtype"])),
    ):
        length = torch.Size(shape).numel()
        # A copy, in memory of torch's own: some kernels choose their path by alignment.
        found.append(torch.frombuffer(body, dtype=dtype, count=length, offset=place).clone().reshape(shape))
        place += -(-length * dtype.itemsize // 64) * 64
    return Entry(states_ND=found[2], logsumexp_N=found[0], argmax_N=found[1])


class TeacherCache:
    """A folder of entries of at most `most_bytes`; those used longest ago go first."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        # What the folder held when it was last read, and what was added here since.
        self._bytes: int | None = None

    def get(self, key: str) -> Entry | None:
        """A damaged file is deleted and counts as absent."""
        place = self._place(key)
        try:
            data = bytearray(place.read_bytes())
        except FileNotFoundError:
            return None
        entry = read_entry(data)
        with suppress(FileNotFoundError):  # evicted meanwhile
            if entry is None:
                place.unlink()
            else:
                os.utime(place)
        return entry

    def put(self, key: str, data: bytes) -> None:
        """Keep the bytes of an entry."""
        place = self._place(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".making-", dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(temporary, place)
        except BaseException:
            os.unlink(temporary)
            raise
        if self._bytes is not None:
            self._bytes += len(data)
        if self._bytes is None or self._bytes > self._most_bytes:
            self._evict(keep=place)

    def _place(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _evict(self, *, keep: Path) -> None:
        """Read the folder, and delete what was used longest ago if it holds too much."""
        files = []
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):  # another worker evicts too
                found = path.stat()
                files.append((found.st_mtime_ns, found.st_size, path))
        total = sum(size for _, size, _ in files)
        if total > self._most_bytes:
            for _, size, path in sorted(files):
                if total <= KEPT_SHARE * self._most_bytes:
                    break
                if path != keep:
                    path.unlink(missing_ok=True)
                    total -= size
        self._bytes = total
