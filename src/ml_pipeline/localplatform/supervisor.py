"""The supervisor process: owns one platform's state and keeps its processes running.

`python -m ml_pipeline.localplatform.supervisor --state DIR` stays in the foreground, and with
`--detach` goes its own way. It says one line of JSON on its standard output: that it serves, or
why it cannot.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

from aiohttp import web
from filelock import FileLock, Timeout
from pydantic import JsonValue

from ml_pipeline.domain.errors import BusyError, ExitCode, PipelineError, PlatformUnavailableError
from ml_pipeline.localplatform.admin import Admin
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.platform import Platform, PlatformOptions
from ml_pipeline.localplatform.proxy import RouterOptions
from ml_pipeline.localplatform.store import Store

#: How long to wait for the lock: a supervisor that was killed is gone within it, in seconds.
LOCK_LIMIT_S = 1.0


async def listen_on(
    port: int, remembered: int | None, patience_s: float = 3.0, host: str = "127.0.0.1"
) -> socket.socket:
    """The public socket; the router of a killed supervisor may hold it for another moment.

    Args:
        port: 0 for any free one, and then the remembered one when it is free.
        remembered: the port of the platform's last life.
        patience_s: how long to try, in seconds.
        host: address; another than loopback is for a container, whose ports are guarded.

    Raises:
        PlatformUnavailableError: somebody else listens there.
    """
    wanted = port or remembered or 0
    deadline_s = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            return _bound(host, wanted)
        except OSError as exc:
            reason = exc.strerror
        if asyncio.get_running_loop().time() > deadline_s:
            break
        await asyncio.sleep(0.1)
    if not port:
        return _bound(host, 0)
    raise PlatformUnavailableError(
        f"cannot listen on {host}:{port}: {reason}",
        remedy="End what listens there, or choose another port (0 takes any free one).",
    )


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def supervise(folder: Folder, options: PlatformOptions, ready: Callable[[], None]) -> None:
    """Run a platform until it is told to stop.

    Raises:
        PlatformUnavailableError: its port is taken, or its router does not come up.
    """
    with contextlib.closing(Store(folder.database)) as store:
        remembered = store.meta("public_port")
        known = None if remembered is None else int(remembered)
        listener = await listen_on(options.port, known, host=options.host)
        with listener:
            store.set_meta("public_port", str(listener.getsockname()[1]))
            platform = Platform(folder, store, listener, options)
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, platform.stopping.set)
            try:
                await platform.start()
                async with _admin_site(platform):
                    ready()
                    await platform.tick_for_ever()
            finally:
                await platform.stop()


@contextlib.asynccontextmanager
async def _admin_site(platform: Platform) -> AsyncIterator[None]:
    """Serve the admin API, and tell the folder where."""
    with contextlib.closing(Admin(platform)) as admin:
        runner = web.AppRunner(admin.application(), access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address: dict[str, JsonValue] = {
            "admin_url": f"http://127.0.0.1:{runner.addresses[0][1]}",
            "public_url": platform.public_url,
            "pid": os.getpid(),
        }
        _write_private(platform.folder.token, platform.token)
        _write_private(platform.folder.address, json.dumps(address))
        try:
            yield
        finally:
            platform.folder.address.unlink(missing_ok=True)
            await runner.cleanup()


def _write_private(target: Path, text: str) -> None:
    """Write a file only its owner may read, whole or not at all."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(target)


def _detach() -> None:
    """Go on in a process of its own, which no terminal and no parent can take along."""
    if os.fork():
        os._exit(0)
    os.setsid()


def _say(word: Mapping[str, JsonValue]) -> None:
    """Tell whoever started us, once, and then leave their pipe alone."""
    print(json.dumps(word), flush=True)  # noqa: T201 - `control` reads it
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _asked(argv: list[str] | None) -> tuple[Folder, PlatformOptions, bool]:
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--for-run", action="store_true")
    parser.add_argument("--detach", action="store_true")
    usual = PlatformOptions(port=0)
    parser.add_argument("--idle-stop-s", type=float, default=usual.idle_stop_s)
    parser.add_argument("--server", default=usual.server)
    parser.add_argument("--sticky-header", default=usual.router.sticky_header)
    parser.add_argument("--time-out-s", type=float, default=usual.router.time_out_s)
    parser.add_argument("--max-body-bytes", type=int, default=usual.router.max_body_bytes)
    asked = parser.parse_args(argv)
    options = PlatformOptions(
        port=asked.port,
        host=asked.host,
        for_run=asked.for_run,
        idle_stop_s=asked.idle_stop_s,
        server=asked.server,
        router=RouterOptions(
            sticky_header=asked.sticky_header,
            time_out_s=asked.time_out_s,
            max_body_bytes=asked.max_body_bytes,
        ),
    )
    return Folder(asked.state.resolve()), options, asked.detach


@contextlib.contextmanager
def _owned(folder: Folder) -> Iterator[None]:
    lock = FileLock(folder.lock, timeout=LOCK_LIMIT_S)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"another platform runs on {folder.root}",
            remedy="Use that one, or give this one another state folder.",
        ) from None
    with lock:
        yield


def main(argv: list[str] | None = None) -> int:
    """Run a platform; the exit code."""
    folder, options, detach = _asked(argv)
    if detach:
        _detach()
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        folder.make()
        with _owned(folder):
            folder.address.unlink(missing_ok=True)
            asyncio.run(supervise(folder, options, lambda: _say({"serving": True})))
    except PipelineError as exc:
        sys.stderr.write(f"{exc}. {exc.remedy}\n")
        _say({"error": type(exc).__name__, "message": str(exc), "remedy": exc.remedy})
        return exc.exit_code
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
