"""Where a model's files come from: a folder or GGUF of this machine, the Hub at one commit, or blobs of the pool.

Each becomes a folder that transformers loads. A folder in the cache is complete or absent: it is made beside its
place and renamed into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import torch
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from understudy_worker.blobs import Blobs
from understudy_worker.digests import json_digest
from understudy_worker.disk import clear_leftovers, trim
from understudy_worker.errors import Refused, WorkerError
from understudy_worker.seeded import PROCESS
from understudy_worker.wire import FileRef, FilesSource, HubSource, LocalSource

log = logging.getLogger("understudy")

# What a causal model needs; safetensors only, so nothing that is downloaded can run code.
PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.json", "merges.txt", "vocab.txt", "*.jinja", "*.model")
# A larger repository is refused before a byte is fetched: fp32 weights of a 16 B model.
HUB_BYTES = 64 * 2**30
READ_BYTES = 1 << 22
# Other formats of the same weights lie in folders below.
NESTED = "*/*"

Tick = Callable[[], None]


class Sources:
    """Finds model folders. `declared` are the names that this worker's own command line gave to paths; without a pool
    there are no `blobs`."""

    def __init__(self, *, declared: dict[str, Path], cache_dir: Path, blobs: Blobs | None) -> None:
        self.declared = declared
        self._cache = cache_dir
        clear_leftovers(cache_dir)
        self._blobs = blobs

    def folder(self, base: HubSource | LocalSource | FilesSource, *, tick: Tick) -> Path:
        """The folder that holds the model; `tick` is called as bytes arrive and may raise to stop."""
        match base:
            case LocalSource():
                return self._local(base.name, tick=tick)
            case HubSource():
                return self._hub(base, tick=tick)
            case FilesSource():
                return self._files(base.files, tick=tick)

    def scratch(self) -> Path:
        """For files on their way to blobs: on the cache's file system, so that `adopt` can rename."""
        folder = self._cache / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def adopt(self, folder: Path, files: list[FileRef]) -> None:
        """Keep a checkpoint that was written here, so that loading it by its files fetches nothing."""
        place = self._files_place(files)
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # already there
            os.rename(folder, place)
        trim(place.parent, keep=place)

    def _local(self, name: str, *, tick: Tick) -> Path:
        path = self.declared.get(name)
        if path is None:
            raise Refused(f"model_not_found: no --models {name}=PATH on this worker's command line", retryable=False)
        if path.is_dir():
            return path
        if path.is_file():
            return self._gguf(path, tick=tick)
        raise WorkerError("model_not_found", f"--models {name}: its path no longer exists on the worker")

    def _gguf(self, path: Path, *, tick: Tick) -> Path:
        place = self._cache / "gguf" / _file_sha256(path, tick=tick)
        if not place.is_dir():
            log.info("converting %s (%d bytes) to safetensors, once", path.name, path.stat().st_size)
            with _making(place) as folder:
                _convert_gguf(path, folder, tick=tick)
        return place

    def _hub(self, base: HubSource, *, tick: Tick) -> Path:
        try:
            return self._download(base, tick=tick)
        except LocalEntryNotFoundError as error:  # neither reached nor cached
            raise _hub_unavailable(base, error) from error
        except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
            raise WorkerError(
                "model_not_found", f"the Hub has no {base.repo} at {base.revision}, or this worker may not read it"
            ) from error
        except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
            raise _hub_unavailable(base, error) from error

    def _download(self, base: HubSource, *, tick: Tick) -> Path:
        """From the Hub's own cache if it is all there, without asking the network; else fetched."""
        try:
            path = _from_hub(base, cached=True, tick=tick)
        except LocalEntryNotFoundError:
            _check_hub_size(base)
            path = _from_hub(base, cached=False, tick=tick)
        return self._gguf(path, tick=tick) if base.gguf_file else path

    def _files_place(self, files: list[FileRef]) -> Path:
        return self._cache / "files" / json_digest(sorted([file.name, file.sha256] for file in files))

    def _files(self, files: list[FileRef], *, tick: Tick) -> Path:
        assert self._blobs is not None, "only a pool names files"
        place = self._files_place(files)
        if not place.is_dir():
            with _making(place) as folder:
                for file in files:
                    self._blobs.get_file(file, folder / file.name, on_part=lambda _: tick())
        trim(place.parent, keep=place)
        return place


@contextlib.contextmanager
def _making(place: Path) -> Iterator[Path]:
    """A folder that appears at `place` only when the block has succeeded; an interrupted one leaves nothing there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
    try:
        yield folder
        with contextlib.suppress(OSError):  # another process was first; its folder has the same content
            os.rename(folder, place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _convert_gguf(path: Path, folder: Path, *, tick: Tick) -> None:
    """Write the GGUF's weights, in fp32, and its tokenizer as a folder."""
    try:
        with PROCESS:
            model = AutoModelForCausalLM.from_pretrained(
                path.parent,
                gguf_file=path.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
                local_files_only=True,
            )
        tick()
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    except (ValueError, LookupError, RuntimeError, EOFError, struct.error) as error:
        reason = str(error).replace(str(path), path.name)[:500]
        raise WorkerError("model_invalid", f"{path.name} cannot be read as a GGUF model: {reason}") from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tick()


def _from_hub(base: HubSource, *, cached: bool, tick: Tick) -> Path:
    """The GGUF file, or the folder of safetensors, configuration and tokenizer."""
    how: dict[str, Any] = {
        "revision": base.revision,
        "local_files_only": cached,
        "tqdm_class": _ticking_bar(tick),
    }
    if base.gguf_file:
        return Path(str(hf_hub_download(base.repo, base.gguf_file, **how)))
    return Path(str(snapshot_download(base.repo, allow_patterns=list(PATTERNS), ignore_patterns=[NESTED], **how)))


def _hub_unavailable(base: HubSource, error: Exception) -> WorkerError:
    return WorkerError("hub_unavailable", f"{base.repo}: {type(error).__name__}", retryable=True)


def _check_hub_size(base: HubSource) -> None:
    names = (base.gguf_file,) if base.gguf_file else PATTERNS
    info = HfApi().model_info(base.repo, revision=base.revision, files_metadata=True)
    files = {entry.rfilename: entry.size or 0 for entry in info.siblings or [] if "/" not in entry.rfilename}
    wanted = [size for name, size in files.items() if any(Path(name).match(pattern) for pattern in names)]
    if not any(name.endswith((".safetensors", ".gguf")) and Path(name).match(names[0]) for name in files):
        raise WorkerError(
            "model_invalid", f"{base.repo} at {base.revision} has no {names[0]}; other formats are not read"
        )
    if sum(wanted) > HUB_BYTES:
        raise WorkerError("model_too_large", f"{base.repo}: {sum(wanted)} bytes, more than the {HUB_BYTES} allowed")


def _ticking_bar(tick: Tick) -> type[Any]:
    """A silent progress bar that reports the bytes of a download as progress."""

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            tick()
            shown: bool | None = super().update(n)
            return shown

    return Bar


def _file_sha256(path: Path, *, tick: Tick) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
            tick()
    return digest.hexdigest()
