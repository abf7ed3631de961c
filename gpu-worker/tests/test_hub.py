"""Models from a Hub: a server of its own that answers as the Hub does, since tests have no network."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Room
from huggingface_hub import constants

from understudy_worker import sources
from understudy_worker.errors import WorkerError
from understudy_worker.wire import ModelRef

REVISION = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """One repository, `someone/tiny`, at REVISION."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.fetched: list[str] = []
        self.down = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub._answer(self, body=True)

            def do_HEAD(self) -> None:
                hub._answer(self, body=False)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = request.path.split("?")[0]
        resolve = f"/someone/tiny/resolve/{REVISION}/"
        if self.down:
            self._send(request, 503, b"", {}, body)
        elif path.startswith(f"/api/models/someone/tiny/revision/{REVISION}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            info = {"id": "someone/tiny", "modelId": "someone/tiny", "sha": REVISION, "siblings": siblings}
            self._send(request, 200, json.dumps(info).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith(f"/api/models/someone/tiny/tree/{REVISION}"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            self._send(request, 200, json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
        elif path.startswith(resolve) and (data := self.files.get(path.removeprefix(resolve))) is not None:
            if body:
                self.fetched.append(path.removeprefix(resolve))
            etag = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": REVISION}
            self._send(request, 200, data, etag, body)
        else:
            self._send(request, 404, b"", {"X-Error-Code": "RepoNotFound"}, body)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str], body: bool
    ) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data)


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    files = {path.name: path.read_bytes() for path in folders["student"].iterdir()}
    result = FakeHub({**files, "pytorch_model.bin": b"pickle", "onnx/model.safetensors": b"other"})
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, result.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", result.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield result
    result.close()


def hub_ref(**changes: Any) -> ModelRef:
    base = {"type": "hub", "repo": "someone/tiny", "revision": REVISION, "gguf_file": None, **changes}
    return ModelRef.model_validate_json(
        json.dumps({"model": "model_hub", "base": base, "layer_indices": None, "weights_digest": None})
    )


def test_a_model_of_the_hub(hub: FakeHub, room: Room, new_room: Any) -> None:
    ticks: list[int] = []
    loaded = room.models.load(hub_ref(), tick=lambda: ticks.append(1))
    assert loaded.model.config.num_hidden_layers == 2
    assert "model.safetensors" in hub.fetched and "tokenizer.json" in hub.fetched
    assert "pytorch_model.bin" not in hub.fetched and "onnx/model.safetensors" not in hub.fetched
    assert len(ticks) > 5
    hub.down = True
    assert room.models.load(hub_ref(), tick=lambda: None).weights_digest == loaded.weights_digest


def test_what_is_not_there_is_told(hub: FakeHub, room: Room) -> None:
    with pytest.raises(WorkerError, match="no someone/other") as error:
        room.models.load(hub_ref(repo="someone/other"), tick=lambda: None)
    assert (error.value.code, error.value.retryable) == ("model_not_found", False)
    with pytest.raises(WorkerError, match=r"model\.gguf") as error:
        room.models.load(hub_ref(gguf_file="model.gguf"), tick=lambda: None)
    assert error.value.code == "model_invalid"


def test_only_safetensors(hub: FakeHub, room: Room) -> None:
    hub.files.pop("model.safetensors")
    with pytest.raises(WorkerError, match="safetensors") as error:
        room.models.load(hub_ref(), tick=lambda: None)
    assert error.value.code == "model_invalid" and not hub.fetched


def test_the_size_is_checked_before_a_byte_is_fetched(
    hub: FakeHub, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "HUB_BYTES", 1000)
    with pytest.raises(WorkerError) as error:
        room.models.load(hub_ref(), tick=lambda: None)
    assert error.value.code == "model_too_large" and not hub.fetched


def test_a_hub_that_is_down_is_worth_another_try(hub: FakeHub, room: Room) -> None:
    hub.close()
    with pytest.raises(WorkerError) as error:
        room.models.load(hub_ref(), tick=lambda: None)
    assert (error.value.code, error.value.retryable) == ("hub_unavailable", True)
