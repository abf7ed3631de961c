"""`python -m understudy_worker`: connect to a pool and work for it until told to leave; or, with no pool, `export`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from understudy_worker.address import Address, parse_address
from understudy_worker.edge import command

if TYPE_CHECKING:
    from understudy_worker.connection import Connection

KEY_VARIABLE = "UNDERSTUDY_WORKER_KEY"
NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
EXIT_KEY = 3
# The first argument of the other command.
EXPORT = "export"

log = logging.getLogger("understudy")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="understudy_worker",
        description=f"A worker of understudy. The key is read from the environment variable {KEY_VARIABLE}."
        f" `understudy_worker {EXPORT} --help` tells how to export a model instead.",
    )
    result.add_argument("--url", required=True, type=_address, help="the pool, such as http://127.0.0.1:8787")
    result.add_argument(
        "--models",
        action="append",
        default=[],
        type=_named_path,
        metavar="NAME=PATH",
        help="a model of this machine: a folder with safetensors, or a .gguf file; may be repeated",
    )
    result.add_argument(
        "--threads", type=_number(64), default=None, help="CPU threads of one operation (default: all cores)"
    )
    result.add_argument("--slots", type=_number(64), default=1, help="long jobs at one time (default 1)")
    result.add_argument(
        "--requests", type=_number(256), default=64, help="scores and completions in hand beside them (default 64)"
    )
    result.add_argument(
        "--name", type=_name, default=None, help="how the pool lists this worker (default: the host's name)"
    )
    result.add_argument(
        "--cache-dir", type=Path, default=Path.home() / ".cache" / "understudy", help="converted and downloaded models"
    )
    result.add_argument(
        "--teacher-cache-gb",
        type=_number(100_000, of=" of GB"),
        default=20,
        help="disk for what teachers have computed, in GB (default 20); the least used goes first",
    )
    return result


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _number(most: int, *, of: str = "") -> Callable[[str], int]:
    """Reads a number from 1 on."""

    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a number{of} from 1 to {most}, not {text!r}")
        return int(text)

    return read


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected 1 to 64 letters, digits, '.', '_' or '-', not {text!r}")
    return text


def _named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or not NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, not {text!r}")
    place = Path(path).expanduser().resolve()
    if not place.is_dir() and place.suffix != ".gguf":
        raise argparse.ArgumentTypeError(f"{name}: {path} is neither a folder nor a .gguf file")
    if not place.exists():
        raise argparse.ArgumentTypeError(f"{name}: {path} does not exist")
    return name, place


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == [EXPORT]:
        command.main(argv[1:])
    else:
        work(argv)


def work(argv: list[str]) -> NoReturn:
    """Be a worker, as the arguments say."""
    arguments = parser().parse_args(argv)
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        parser().error(f"set {KEY_VARIABLE} to a key of the role worker")
    if arguments.slots > 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        parser().error("--slots must be 1 under torchrun, whose processes work on one run together")
    # Read when torch is loaded. A thread that spins for its fellows takes the core that they need as soon as anything
    # else runs on the machine: then a step can take ten times as long (measured); alone it is no faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    serve(arguments, key)


def serve(arguments: argparse.Namespace, key: str) -> NoReturn:
    """Connect and work until told to stop; ends the process with its status."""
    # torch takes seconds to import; bad arguments are answered before that.
    from understudy_worker.backend import configure, fingerprint
    from understudy_worker.blobs import Blobs
    from understudy_worker.connection import Connection, KeyRefused
    from understudy_worker.distill import Trainer
    from understudy_worker.engine import Engine
    from understudy_worker.identity import Identity
    from understudy_worker.models import Models
    from understudy_worker.ranks import Ranks
    from understudy_worker.requests import Requests
    from understudy_worker.runner import Runner
    from understudy_worker.sources import Sources
    from understudy_worker.teacher_cache import TeacherCache
    from understudy_worker.wire import Capabilities

    backend = configure(arguments.threads)
    declared = dict(arguments.models)
    blobs = Blobs(arguments.url, key=key)
    models = Models(Sources(declared=declared, cache_dir=arguments.cache_dir, blobs=blobs), backend=backend)
    ranks = Ranks.join(backend.device)
    own = fingerprint(backend, world=ranks.world)
    cache = TeacherCache(arguments.cache_dir / "teacher", most_bytes=arguments.teacher_cache_gb * 10**9)
    engine = Engine(models=models, blobs=blobs, cache=cache, fingerprint=own.digest, ranks=ranks)
    if ranks.rank > 0:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # told to all; rank 0 leaves when it has finished, and says so
        engine.serve()
        ranks.leave()
    trainer = Trainer(engine)
    requests = Requests(backend=backend, models=models, blobs=blobs, cache=cache, fingerprint=own.digest)
    runner = Runner(backend=backend, blobs=blobs, trainer=trainer, requests=requests, slots=arguments.slots)
    identity = Identity(
        worker=arguments.name or re.sub(r"[^0-9A-Za-z._-]", "-", socket.gethostname()).lstrip("._-")[:64] or "worker",
        boot=secrets.token_hex(16),
        capabilities=Capabilities(
            kinds=["prepare", "score", "complete", "tokenize", "compare", "generate", "prefer", "train", "export"],
            models=sorted(declared),
            device=str(backend.device),
        ),
        fingerprint=own,
        slots=arguments.slots,
        requests=arguments.requests,
    )
    connection = Connection(
        arguments.url, key=key, identity=identity, accept=runner.accept, held_runs=trainer.runs.held
    )
    log.info("worker %s on %s with %d thread(s)", identity.worker, backend.device, backend.threads)
    status = 0
    try:
        asyncio.run(_until_told(connection))
    except KeyRefused as error:
        log.error("%s: set %s to a valid key of the role worker", error, KEY_VARIABLE)
        status = EXIT_KEY
    blobs.close()
    ranks.leave(status)


async def _until_told(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, connection.leave)
    await connection.run()


if __name__ == "__main__":
    main()
