"""Entries on disk: whole or absent, bounded, shared by processes."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy_worker.digests import canonical_json
from understudy_worker.disk import clear_leftovers
from understudy_worker.forward import Tokens
from understudy_worker.teacher_cache import ENTRIES, HEADER_BYTES, Entry, Keys, TeacherCache, read_entry, write_entry

TOKENS = Tokens((5, 6, 7, 8), 2)
PARTS: dict[str, Any] = {
    "weights_digest": "w",
    "config_digest": "c",
    "tokenizer_digest": "t",
    "dtype": "float32",
    "fingerprint": "f",
}


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def entry(seed: int = 0, *, positions: int = 3, size: int = 5, dtype: torch.dtype = torch.float32) -> Entry:
    torch.manual_seed(seed)
    return Entry(
        states_ND=torch.randn(positions, size).to(dtype),
        logsumexp_N=torch.randn(positions),
        argmax_N=torch.randint(400, (positions,), dtype=torch.int32),
    )


def same(one: Entry | None, other: Entry) -> bool:
    """Equal to the bit, dtypes too."""
    if one is None:
        return False
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("states_ND", "logsumexp_N", "argmax_N")]
    return all(mine.dtype == yours.dtype and torch.equal(mine, yours) for mine, yours in pairs)


def held(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("??/*"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("positions", "size"), [(1, 1), (3, 5), (16, 64), (17, 33)])
def test_an_entry_reads_back_to_the_bit(dtype: torch.dtype, positions: int, size: int) -> None:
    made = entry(positions=positions, size=size, dtype=dtype)
    data = write_entry(made, key=key_of(1))
    back = read_entry(data, key=key_of(1))
    assert same(back, made)
    assert back is not None and back.states_ND.data_ptr() % 64 == 0, "aligned as a computed tensor is"
    assert write_entry(back, key=key_of(1)) == data, "the bytes depend on the entry alone"


def test_strange_numbers_survive() -> None:
    made = entry()
    made.logsumexp_N[:] = torch.tensor([float("inf"), -0.0, 1e-45])
    back = read_entry(write_entry(made, key=key_of(1)), key=key_of(1))
    assert back is not None and torch.equal(back.logsumexp_N.view(torch.int32), made.logsumexp_N.view(torch.int32))


def test_a_changed_byte_anywhere_is_seen() -> None:
    data = write_entry(entry(), key=key_of(1))
    for place in range(len(data)):
        for flip in (1, 128):
            assert read_entry(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :], key=key_of(1)) is None
    assert all(read_entry(data[:length], key=key_of(1)) is None for length in range(len(data)))
    assert read_entry(data + b"\0", key=key_of(1)) is None


def test_an_entry_of_another_key_is_none() -> None:
    assert read_entry(write_entry(entry(), key=key_of(1)), key=key_of(2)) is None


def sealed(header: bytes, body: bytes) -> bytes:
    """Whole, as its digest says."""
    whole = header.ljust(HEADER_BYTES) + body
    return whole + hashlib.sha256(whole).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"dtype": "float64"},
        {"dtype": "__class__"},
        {"positions": 4},
        {"positions": -3},
        {"positions": 10**12},
        {"size": 500},
        {"size": "5"},
        {"more": 1},
        {"key": None},
    ],
)
def test_whole_bytes_that_no_worker_wrote_are_none(change: dict[str, Any]) -> None:
    good = {"format": 1, "key": key_of(1), "dtype": "float32", "positions": 3, "size": 5}
    body = write_entry(entry(), key=key_of(1))[HEADER_BYTES:-32]
    assert same(read_entry(sealed(canonical_json(good), body), key=key_of(1)), entry())
    assert read_entry(sealed(canonical_json({**good, **change}), body), key=key_of(1)) is None


@pytest.mark.parametrize("header", [b"", b"{", b"[]", b"\xff" * 9, b"null"])
def test_headers_that_are_none(header: bytes) -> None:
    assert read_entry(sealed(header, b""), key=key_of(1)) is None


def test_the_key_names_all_that_the_bits_depend_on() -> None:
    others = [
        {**PARTS, name: value}
        for name, value in {
            "weights_digest": "x",
            "config_digest": "x",
            "tokenizer_digest": "x",
            "dtype": "bfloat16",
            "fingerprint": "x",
        }.items()
    ]
    keys = [Keys(**parts).of(TOKENS) for parts in [PARTS, *others]]
    keys += [
        Keys(**PARTS).of(tokens)
        for tokens in (Tokens((5, 6, 7, 8), 3), Tokens((5, 6, 7), 2), Tokens((5, 6, 7, 9), 2), Tokens((56, 7, 8), 2))
    ]
    assert len(set(keys)) == len(keys) and Keys(**PARTS).of(TOKENS) == keys[0]


def test_a_projects_entries_are_its_own_within_one_bound(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, most_bytes=10**4)
    one, other = cache.of("proj_1"), cache.of("proj_2")
    one.put(key_of(1), write_entry(entry(), key=key_of(1)))
    assert same(one.get(key_of(1)), entry()) and same(cache.of("proj_1").get(key_of(1)), entry())
    assert other.get(key_of(1)) is None and cache.get(key_of(1)) is None
    for number in range(2, 80):
        other.put(key_of(number), write_entry(entry(), key=key_of(number)))
    assert one.get(key_of(1)) is None, "used longest ago, whoever's it was"
    assert sum(path.stat().st_size for path in tmp_path.rglob("??/*")) <= 1.2 * 10**4


def test_a_damaged_file_is_absent_and_goes(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, most_bytes=2**20)
    cache.put(key_of(1), write_entry(entry(), key=key_of(1)))
    (file,) = tmp_path.glob("??/*")
    assert file.parent.name == key_of(1)[:2]
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)
    assert cache.get(key_of(1)) is None and not file.exists()
    assert cache.get(key_of(1)) is None
    cache.put(key_of(1), write_entry(entry(), key=key_of(1)))
    assert same(cache.get(key_of(1)), entry())


def test_the_bound_holds_and_the_last_used_stay(tmp_path: Path) -> None:
    size = len(write_entry(entry(), key=key_of(0)))
    cache = TeacherCache(tmp_path, most_bytes=10 * size)
    for number in range(8):
        cache.put(key_of(number), write_entry(entry(number), key=key_of(number)))
        time.sleep(0.002)
    assert same(cache.get(key_of(0)), entry(0)), "its use makes it young"
    for number in range(8, 40):
        time.sleep(0.002)
        cache.put(key_of(number), write_entry(entry(number), key=key_of(number)))
        assert held(tmp_path) <= 10 * size
        assert same(cache.get(key_of(0)), entry(0))
    there = [number for number in range(1, 40) if cache.get(key_of(number))]
    assert there == list(range(40 - len(there), 40)) and len(there) >= 7


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    data = write_entry(entry(), key=key_of(0))
    for number in range(10):
        TeacherCache(tmp_path, most_bytes=2**30).put(key_of(number), data)
    cache = TeacherCache(tmp_path, most_bytes=4 * len(data))
    cache.put(key_of(10), write_entry(entry(), key=key_of(10)))
    assert held(tmp_path) <= 4 * len(data) and cache.get(key_of(10)) is not None


def test_an_entry_beyond_the_bound_is_kept_alone(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, most_bytes=10)
    for number in range(3):
        cache.put(key_of(number), write_entry(entry(), key=key_of(number)))
    assert [path.name for path in tmp_path.glob("??/*")] == [key_of(2)]


def test_the_folder_is_not_read_for_every_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: reads.append(pattern) or glob(self, pattern))
    cache = TeacherCache(tmp_path, most_bytes=2**20)
    data = write_entry(entry(), key=key_of(0))
    for number in range(100):
        cache.put(key_of(number), data)
    assert reads == list(ENTRIES)


def test_a_full_disk_keeps_nothing_and_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = TeacherCache(tmp_path, most_bytes=2**20)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        cache.put(key_of(1), write_entry(entry(), key=key_of(1)))
    assert cache.get(key_of(1)) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [], "nothing half-written stays"


def test_what_a_killed_worker_left_is_cleared_with_the_rest(tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path / "teacher", most_bytes=10)
    left = tmp_path / "teacher" / ".making-1"
    left.mkdir(parents=True)
    (left / key_of(1)).write_bytes(b"half")
    cache.put(key_of(2), write_entry(entry(), key=key_of(2)))
    assert left.exists(), "it may be another worker's at this moment"
    clear_leftovers(tmp_path, older_than_s=-1)
    assert not left.exists() and cache.get(key_of(2)) is not None


CROWD = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from test_teacher_cache import entry, key_of, same
from understudy_worker.teacher_cache import TeacherCache, write_entry

cache = TeacherCache(Path(sys.argv[1]), most_bytes=int(sys.argv[2]))
hits = 0
for turn in range(30):
    for number in range(25):
        found = cache.get(key_of(number))
        if found is None:
            cache.put(key_of(number), write_entry(entry(number), key=key_of(number)))
        else:
            assert same(found, entry(number)), "never another's bytes, never half of them"
            hits += 1
print(hits)
"""


def test_processes_share_a_folder_that_is_too_small(tmp_path: Path) -> None:
    """Both write and evict the same entries; nobody ever reads half of one, and nobody fails."""
    size = len(write_entry(entry(), key=key_of(0)))
    command = [sys.executable, "-c", CROWD, str(tmp_path), str(15 * size), str(Path(__file__).parent)]
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in crowd]
    assert [process.returncode for process in crowd] == [0, 0], answers
    assert not any("damaged" in errors for _, errors in answers), "not even for a moment is there half of one"
    assert held(tmp_path) <= 15 * size * 1.1 + size, "a tenth more for the second worker, and the entry just written"
    assert not list(tmp_path.glob(".making-*"))
