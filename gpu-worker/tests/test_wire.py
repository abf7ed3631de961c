"""The golden frames that the TypeScript tests read too: accepted, and written back byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from understudy_worker.wire import BlobStored, FromWorker, Row, ToWorker

FIXTURES = Path(__file__).parents[2] / "test" / "wire" / "fixtures"
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "from_worker": TypeAdapter(FromWorker),
    "to_worker": TypeAdapter(ToWorker),
    "row": TypeAdapter(Row),
    "blob_stored": TypeAdapter(BlobStored),
}


def frames(kind: str) -> list[Any]:
    return [
        pytest.param(path.stem, frame, id=f"{path.stem}-{number}")
        for path in sorted(FIXTURES.glob("*.json"))
        for number, frame in enumerate(json.loads(path.read_text(encoding="utf-8")).get(kind, []))
    ]


def test_every_family_has_an_adapter() -> None:
    assert {path.stem for path in FIXTURES.glob("*.json")} == set(ADAPTERS)


@pytest.mark.parametrize(("family", "frame"), frames("valid"))
def test_valid_frames_come_back_as_they_were(family: str, frame: Any) -> None:
    text = json.dumps(frame, ensure_ascii=False)
    parsed = ADAPTERS[family].validate_json(text)
    # Values, not spelling: JavaScript writes 1.0 as 1. Key order is kept.
    back = json.loads(ADAPTERS[family].dump_json(parsed, by_alias=True, exclude_unset=True))
    assert back == frame
    assert json.dumps(back).replace(".0", "") == json.dumps(frame).replace(".0", "")


@pytest.mark.parametrize(("family", "frame"), frames("later"))
def test_what_a_later_version_added_is_left_unread(family: str, frame: Any) -> None:
    ADAPTERS[family].validate_json(json.dumps(frame))


@pytest.mark.parametrize("family", ["from_worker", "to_worker"])
def test_the_frames_of_0_1_0_are_read(family: str) -> None:
    for frame in json.loads((FIXTURES / "0.1.0" / f"{family}.json").read_text(encoding="utf-8")):
        parsed = ADAPTERS[family].validate_json(json.dumps(frame))
        assert json.loads(ADAPTERS[family].dump_json(parsed, by_alias=True, exclude_unset=True)) == frame


@pytest.mark.parametrize(("family", "frame"), frames("invalid"))
def test_invalid_frames_are_refused(family: str, frame: Any) -> None:
    with pytest.raises(ValidationError):
        ADAPTERS[family].validate_json(json.dumps(frame))


@pytest.mark.parametrize(("family", "text"), frames("invalid_text"))
def test_invalid_texts_are_refused(family: str, text: str) -> None:
    with pytest.raises(ValidationError):
        ADAPTERS[family].validate_json(text)
