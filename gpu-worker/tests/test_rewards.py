"""Rewards of sampled responses: exact match as evaluations grade it, and a checkpoint's implicit reward."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import runs
import torch
from blob_server import BlobServer
from conftest import Room, ref
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import FLOOR_NATS, Distance, Oracle, distance

from understudy_worker.forward import Tokens
from understudy_worker.layout import Part
from understudy_worker.rewards import exact_match, rewards
from understudy_worker.teacher import FrozenTeacher, TeacherChunk
from understudy_worker.teacher_cache import TeacherCache
from understudy_worker.wire import RunSpec

REPOSITORY = Path(__file__).parents[2]
NODE = REPOSITORY / "node_modules" / ".bin" / "node"
GRADER = REPOSITORY / "src" / "evaluation" / "exact-match.ts"

TABLE: list[tuple[str, list[str], float]] = [
    ("Paris", ["Paris"], 1),
    ("  paris.\n", ["Paris"], 1),
    ("It's Paris!", ["its paris"], 1),
    ("Paris", ["Rome", "PARIS"], 1),
    ("Paris", [], 0),
    # Articles stay.
    ("the cat", ["cat"], 0),
    ("A cat", ["a cat"], 1),
    # Every sign of ASCII punctuation goes, and leaves no space behind; other signs stay.
    ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~x", ["x"], 1),
    ("well-known", ["wellknown"], 1),
    ("well-known", ["well known"], 0),
    ("“Paris”", ["Paris"], 0),
    ("3\u20134", ["34"], 0),
    ("€5", ["5"], 0),
    # White space is Python's: the separators U+001C to U+001F and U+0085 too, not U+FEFF and not the zero-width U+200B.
    ("a\t\n\x0b\x0c\r b", ["a b"], 1),
    ("a\x1c\x1d\x1e\x1f\x85b", ["a b"], 1),
    ("a\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000b", ["a b"], 1),
    ("a\u200bb", ["a b"], 0),
    ("\ufeffa", ["a"], 0),
    # Nothing but signs and space equals the empty answer.
    (" ... ", [""], 1),
    ("", ["?!"], 1),
    # Lower case where it takes two letters, depends on the place, or has no partner; nothing is composed.
    ("İ", ["i\u0307"], 1),
    ("ΟΔΟΣ", ["οδος"], 1),
    ("STRASSE", ["straße"], 0),
    ("ÉTÉ", ["été"], 1),
    ("e\u0301", ["é"], 0),
    ("𐐀", ["𐐨"], 1),
]


@pytest.mark.parametrize(("response", "references", "expected"), TABLE)
def test_exact_match(response: str, references: list[str], expected: float) -> None:
    assert exact_match(response, references) == expected


def edge_grades(questions: list[tuple[str, list[str]]]) -> list[float]:
    """What the edge's grader says of each (response, references)."""
    script = (
        f"import {{ exactMatch }} from {json.dumps(GRADER.as_uri())};"
        "let text = ''; for await (const part of process.stdin.setEncoding('utf8')) text += part;"
        "console.log(JSON.stringify(JSON.parse(text).map(([response, all]) => exactMatch(response, all))));"
    )
    command = [str(NODE), "--input-type=module", "--eval", script]
    done = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=True, timeout=60)
    return [float(grade) for grade in json.loads(done.stdout)]


needs_node = pytest.mark.skipif(not NODE.exists(), reason="npm packages are not installed: run npm ci")


@needs_node
def test_the_edge_grades_the_table_alike() -> None:
    assert edge_grades([(response, all_) for response, all_, _ in TABLE]) == [expected for _, _, expected in TABLE]


# Letters that both Unicode tables know, white space and signs of all kinds.
LETTERS = st.characters(exclude_categories=["Cs", "Cn", "Co"])
TEXTS = st.text(
    st.one_of(st.sampled_from("aA iIİ\u03a3\u03c3\u03c2.-'\"\u0085\u00a0\u200b\ufeff\x1c\n"), LETTERS), max_size=6
)


@needs_node
@settings(max_examples=10, deadline=None)
@given(texts=st.lists(TEXTS, min_size=40, max_size=80))
def test_the_edge_grades_any_text_alike(texts: list[str]) -> None:
    """Each text against variations of itself, and against all the others."""
    questions = [
        (text, [other])
        for text in texts
        for other in (text.upper(), text.title(), f"  {text}!", unicodedata.normalize("NFC", text), texts[0])
    ]
    assert edge_grades(questions) == [exact_match(response, all_) for response, all_ in questions]


def reward_spec(server: BlobServer, reward: dict[str, Any], *, beta: float = 0.25) -> RunSpec:
    fields = {"type": "reward_kl", "reward": reward, "beta": beta}
    return RunSpec.model_validate(runs.spec(runs.split_ref(server, runs.rows(1)), objective=fields))


def test_a_graders_reward_is_that_of_the_decoded_response(blob_server: BlobServer, room: Room) -> None:
    """Special tokens are no part of it, nor is the prompt."""
    tokenizer = room.models.get(ref("student"), tick=lambda: None).tokenizer
    end = tokenizer.eos_token_id

    def part(response: str, *references: str) -> Part:
        prompt = tokenizer.encode("Name a city.")
        ids = (*prompt, *tokenizer.encode(response), end)
        return Part("row", Tokens(ids=ids, prompt_length=len(prompt)), distill="policy", references=references)

    parts = [part(" Paris.", "Rome", "paris"), part("The Paris", "Paris"), part("Paris")]
    found = rewards(
        parts,
        None,
        spec=reward_spec(blob_server, {"grader": "exact_match"}),
        tokenizer=tokenizer,
        model=None,
    )
    assert found is not None and found.tolist() == [1, 0, 0]


def test_other_objectives_are_given_no_reward(blob_server: BlobServer, room: Room) -> None:
    tokenizer = room.models.get(ref("student"), tick=lambda: None).tokenizer
    spec = RunSpec.model_validate(runs.spec(runs.split_ref(blob_server, runs.rows(1)), objective={"type": "minillm"}))
    assert rewards([], None, spec=spec, tokenizer=tokenizer, model=None) is None


def test_an_implicit_reward_is_beta_times_the_log_ratio(
    blob_server: BlobServer, room: Room, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Of whole responses, against transformers' own forward pass in fp64."""
    sequences = [
        Tokens(ids=(5, 9, 30, 31, 32, 1), prompt_length=2),
        Tokens(ids=(7, 8, 9, 200), prompt_length=3),
        Tokens(ids=(4, 60, 61, 62, 63, 64, 65, 66), prompt_length=1),
    ]

    def frozen(name: str) -> FrozenTeacher:
        named = ref(name, digest=room.models.get(ref(name), tick=lambda: None).weights_digest)
        cache = TeacherCache(tmp_path / name, most_bytes=2**30)
        how: dict[str, Any] = {"dtype": "float32", "fingerprint": "f" * 64, "tick": lambda: None}
        return FrozenTeacher(named, models=room.models, cache=cache, shared=None, **how)

    teacher, judge = frozen("teacher"), frozen("student")
    chunk = TeacherChunk.of(teacher.entries(sequences)[0], teacher.head)
    parts = [Part(f"row-{index}", tokens, distill="policy") for index, tokens in enumerate(sequences)]
    tokenizer = room.models.get(ref("student"), tick=lambda: None).tokenizer
    spec = reward_spec(blob_server, {"implicit": "run_0@7"}, beta=0.25)
    found = rewards(parts, chunk, spec=spec, tokenizer=tokenizer, model=judge)
    assert found is not None
    (student_N, by_student), (teacher_N, by_teacher) = (
        Oracle.of(folders[name]).of_responses(sequences) for name in ("student", "teacher")
    )
    exact_N, lengths = by_student - by_teacher, [len(tokens.response) for tokens in sequences]
    # A log-ratio is the difference of two log-probabilities: twice the floor.
    theirs_N = student_N.double() - teacher_N.double()
    token = distance(theirs_N, theirs_N, exact_N, floor=2 * FLOOR_NATS)
    expected_S = torch.stack([0.25 * part.sum() for part in exact_N.split(lengths)])
    for value, expected, length in zip(found.tolist(), expected_S.tolist(), lengths, strict=True):
        far, share = abs(value - expected), 0.25 * length
        Distance(far, share * token.theirs, share * token.allowed).check(f"the reward of {length} tokens")
    assert expected_S.abs().max() > 0.1
