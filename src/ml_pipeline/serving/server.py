"""One model server process: `python -m ml_pipeline.serving.server --package DIR --port N …`."""

import argparse
import asyncio
import gc
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvloop

from ml_pipeline.domain.chaos import parse_chaos
from ml_pipeline.domain.errors import DataError, PipelineError, PlatformUnavailableError
from ml_pipeline.serving.app import BODY_BYTES, ModelApp
from ml_pipeline.serving.http import HttpServer
from ml_pipeline.serving.package import MANIFEST, package_digest
from ml_pipeline.serving.servable import Servable, load_servable

_LOG = logging.getLogger(__name__)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the parent's end; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(argv)
    try:
        app = ModelApp(
            _loaded(arguments),
            slot=arguments.slot,
            version=arguments.version,
            chaos=parse_chaos(arguments.chaos),
            routes=dict(arguments.route),
        )
        uvloop.run(_serve(app, arguments))
    except PipelineError as error:
        _LOG.error("%s. %s", error, error.remedy)
        return int(error.exit_code)
    return 0


def _loaded(arguments: argparse.Namespace) -> Servable:
    """The package, compared with the digest that was asked for before anything of it runs."""
    package: Path = arguments.package
    if arguments.digest and (digest := package_digest(package)) != arguments.digest:
        raise DataError(
            f"{package / MANIFEST} is not the one that was deployed: its digest is {digest},"
            f" not {arguments.digest}",
            remedy=f"Remove the copy {package}, and deploy the registered model again.",
        )
    return load_servable(package, trusted_types=arguments.trusted_type, threads=1)


async def _serve(app: ModelApp, arguments: argparse.Namespace) -> None:
    server = HttpServer(app, body_bytes=BODY_BYTES, refusal=app.refusal)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        port = await server.start(arguments.host, arguments.port)
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}"
        raise PlatformUnavailableError(
            f"nothing can listen on {where}: {error.strerror or error}",
            remedy="Choose another port, or 0 for any that is free.",
        ) from error
    if arguments.exit_with_parent:
        _stop_with_parent(loop, stop)
    # What was loaded stays for good: without this the collector walks it again and again, which
    # shows as the slowest percent of the requests.
    gc.collect()
    gc.freeze()
    if arguments.ready_file is not None:
        _announce(arguments.ready_file, port)
    _LOG.info("%s version %s serves on port %d", arguments.slot, arguments.version, port)
    await stop.wait()
    await server.drain(arguments.drain_s)


def _stop_with_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop when standard input ends: whoever started this process holds the other end."""

    def wait() -> None:
        # os.read, not sys.stdin: a thread inside a buffered reader would hold its lock at exit.
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True, name="parent").start()


def _announce(ready_file: Path, port: int) -> None:
    partial = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
    partial.write_text(json.dumps({"port": port, "pid": os.getpid()}), encoding="utf-8")
    partial.replace(ready_file)


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of letters, digits, '.', '_', '-'")
    return text


def _route(text: str) -> tuple[str, str]:
    path, _, to = text.rpartition("=")
    if not path.startswith("/") or to not in {"/ping", "/invocations"}:
        raise argparse.ArgumentTypeError(f"{text!r} is not /PATH=/ping or /PATH=/invocations")
    return path, to


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml_pipeline.serving.server", description=__doc__)
    parser.add_argument("--package", type=Path, required=True, help="the package folder")
    parser.add_argument("--digest", default="", help="SHA-256 its package.json must have")
    parser.add_argument("--port", type=int, required=True, help="0 for any that is free")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--slot", type=_label, required=True, help="name of the deployment")
    parser.add_argument("--version", type=_label, required=True, help="of the model")
    parser.add_argument(
        "--route",
        type=_route,
        action="append",
        default=[],
        help="a further path: /score=/invocations",
    )
    parser.add_argument("--chaos", default="", help="a drill, such as errors=0.2,slow_ms=800")
    parser.add_argument("--ready-file", type=Path, help="gets {'port': N} once requests are taken")
    parser.add_argument("--trusted-type", action="append", default=[], help="skops may load it")
    parser.add_argument(
        "--drain-s", type=float, default=10.0, help="for what is under way at the end"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="end when standard input ends"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
