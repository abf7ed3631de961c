"""The pool's address in its two forms: HTTP for blobs, WebSocket for frames."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Address:
    """Parsed `--url`. Loopback traffic never goes through a proxy, whatever the environment says."""

    http: str
    socket: str
    loopback: bool


def parse_address(url: str) -> Address:
    """Raise ValueError, saying what to give instead, unless `url` is http(s)://host[:port][/path]."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"--url must look like http://127.0.0.1:8787 or https://host, not {url!r}")
    base = url.rstrip("/")
    scheme = "wss" if parts.scheme == "https" else "ws"
    return Address(
        http=base,
        socket=f"{scheme}{base[len(parts.scheme) :]}/v1/workers/connect",
        loopback=parts.hostname in ("127.0.0.1", "localhost", "::1"),
    )
