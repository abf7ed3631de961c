"""A response's text as its tokens come: what ends it, and what of it is safe to show."""

from __future__ import annotations

from collections.abc import Sequence

from understudy_worker.models import LoadedModel
from understudy_worker.wire import FinishReason

# What a tokenizer gives for bytes that are not (yet) a character.
UNFINISHED = "\ufffd"


class Written:
    """`ids` are what was generated, `room` at the most, with the token that ended it; `finish_reason` is None while it
    grows."""

    def __init__(self, loaded: LoadedModel, *, stop: Sequence[str], room: int) -> None:
        self.ids: list[int] = []
        self.room = room
        self.finish_reason: FinishReason | None = "length" if room == 0 else None
        self._loaded = loaded
        self._stop = tuple(stop)
        self._final: str | None = "" if room == 0 else None
        self._shown = 0

    def add(self, token: int) -> None:
        """Append a token and see whether it ends the response: a stop token of the model, a stop string, or the last
        for which there is room."""
        self.ids.append(token)
        if token in self._loaded.stop_ids:
            self._finish(self._decode(self.ids[:-1]), "stop")
            return
        if self._stop:
            text = self._decode(self.ids)
            ends = [at for at in (text.find(mark) for mark in self._stop) if at >= 0]
            if ends:
                self._finish(text[: min(ends)], "stop")
                return
        if len(self.ids) >= self.room:
            self.end()

    def end(self) -> None:
        """No token more comes."""
        if self.finish_reason is None:
            self._finish(self._decode(self.ids), "length")

    @property
    def text(self) -> str:
        return self._decode(self.ids) if self._final is None else self._final

    def fresh(self) -> str:
        """What can be shown since the last call: neither half a character, nor what may become a stop string."""
        text = self.text
        safe = len(text) if self._final is not None else self._safe(text)
        new = text[self._shown : safe]
        self._shown = max(self._shown, safe)
        return new

    def _safe(self, text: str) -> int:
        held = max((_overlap(text, mark) for mark in self._stop), default=0)
        return min(len(text) - held, len(text.rstrip(UNFINISHED)))

    def _finish(self, text: str, reason: FinishReason) -> None:
        self._final, self.finish_reason = text, reason

    def _decode(self, ids: list[int]) -> str:
        return str(self._loaded.tokenizer.decode(ids, skip_special_tokens=True))


def _overlap(text: str, mark: str) -> int:
    """Characters at the end of the text that `mark` begins with."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if text.endswith(mark[:size])), 0)
