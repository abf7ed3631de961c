from __future__ import annotations

import os
from pathlib import Path

from understudy_worker.disk import clear_leftovers, trim


def folder(parent: Path, name: str, *, size: int, age_s: float) -> Path:
    made = parent / name
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"x" * size)
    moment = made.stat().st_mtime - age_s
    os.utime(made, (moment, moment))
    return made


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    for name, age in (("a", 300), ("b", 200), ("c", 100)):
        folder(tmp_path, name, size=40, age_s=age)
    trim(tmp_path, keep=tmp_path / "a", most=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c"]
    trim(tmp_path, keep=tmp_path / "a", most=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_leftovers_go_once_they_are_old(tmp_path: Path) -> None:
    folder(tmp_path / "scratch", "understudy-resume-1", size=1, age_s=100)
    folder(tmp_path / "files", ".making-1", size=1, age_s=100)
    finished = folder(tmp_path / "files", "finished", size=1, age_s=100)
    clear_leftovers(tmp_path, older_than_s=200)
    assert len(list(tmp_path.glob("*/*"))) + len(list(tmp_path.glob("*/.*"))) >= 3
    clear_leftovers(tmp_path, older_than_s=50)
    assert finished.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_dir() and path.parent != tmp_path] == [finished]
