"""The worker's folder of files: bounded, and cleared of what killed processes left."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

# Checkpoints kept on disk after their last use, in bytes; they can be fetched again.
FILES_BYTES = 20 * 2**30
# Several workers may share the folder: what is younger may be another's work under way.
LEFTOVER_S = 24 * 3600


def trim(folder: Path, *, keep: Path, most: int = FILES_BYTES) -> None:
    """Delete the folders in `folder` that were used longest ago, until the rest fits; never `keep`."""
    os.utime(keep)
    total = 0
    used = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(used, key=lambda path: path.stat().st_mtime, reverse=True):
        total += sum(file.stat().st_size for file in path.iterdir())
        if total > most and path != keep:
            shutil.rmtree(path, ignore_errors=True)


def clear_leftovers(cache: Path, *, older_than_s: float = LEFTOVER_S) -> None:
    """Delete unfinished folders of processes that were killed."""
    for path in [*cache.glob("scratch/*"), *cache.glob("*/.making-*")]:
        if time.time() - path.stat().st_mtime > older_than_s:
            shutil.rmtree(path, ignore_errors=True)
