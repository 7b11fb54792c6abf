"""The two programs a supervisor keeps running: model servers and the router."""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.proxy import RouterOptions
from ml_pipeline.localplatform.records import DeploymentRecord, Phase

#: How often a model server is asked, how long it may take, and how often in a row it may fail.
PING_S, PING_LIMIT_S, PINGS_MISSED = 1.0, 5.0, 3
#: How long the router may take to say it has the newest state before it counts as hung.
ROUTER_LIMIT_S = 15.0
#: Seconds a model server has for what is under way when it is stopped.
DRAIN_S = 5.0
#: How often a starting server is looked at, in seconds.
LOOK_S = 0.05

Changed = Callable[[Phase, int | None, str], None]


def python_module(module: str, *arguments: str) -> list[str]:
    """A command that runs one of our modules; `-P` keeps the current folder off its path."""
    return [sys.executable, "-P", "-m", module, *arguments]


def server_command(server: str, record: DeploymentRecord, ready: Path) -> list[str]:
    """The command of a model server.

    Args:
        server: dotted name of its module, or the path of a Python file.
        record: what it serves.
        ready: file into which it writes `{"port": N}` once it listens.
    """
    command = python_module("ml_pipeline.localplatform.child", server)
    command += ["--package", record.package, "--port", "0", "--ready-file", str(ready)]
    command += ["--slot", record.slot, "--version", record.version, "--chaos", record.chaos]
    if record.package_digest:
        command += ["--digest", record.package_digest]
    for one in record.trusted_types:
        command += ["--trusted-type", one]
    return [*command, "--drain-s", str(DRAIN_S)]


class ModelServer:
    """Speaks `keeper.Program`: one deployment's model server."""

    fds: tuple[int, ...] = ()
    talks: bool = False

    def __init__(
        self, record: DeploymentRecord, folder: Folder, server: str, changed: Changed
    ) -> None:
        self.name = f"{record.endpoint}-{record.slot}"
        self.changed = changed
        self._record = record
        self._server = server
        self._ready = folder.ready / f"{self.name}.json"

    def argv(self) -> Sequence[str]:
        """The command, with no trace left of the start before."""
        self._ready.unlink(missing_ok=True)
        return server_command(self._server, self._record, self._ready)

    async def ready(self, process: Process) -> int | None:
        """Wait until it says where it listens and answers there."""
        del process
        while not self._ready.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(LOOK_S)
        port = int(json.loads(self._ready.read_text(encoding="utf-8"))["port"])
        async with _session() as session:
            while not await _pings(session, port):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(LOOK_S)
        self._port = port
        return port

    async def watch(self, process: Process) -> str:
        """Ask it every second; it has to be ended when it misses three answers in a row."""
        del process
        missed = 0
        async with _session() as session:
            while missed < PINGS_MISSED:
                await asyncio.sleep(PING_S)
                missed = 0 if await _pings(session, self._port) else missed + 1
        return f"it did not answer GET /ping {PINGS_MISSED} times in a row"


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PING_LIMIT_S))


async def _pings(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/ping") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


class RouterProgram:
    """Speaks `keeper.Program`: the router, which listens on a socket the supervisor holds.

    Users' connections therefore wait, and are not refused, while the router starts again.
    """

    name = "router"
    talks: bool = True
    fds: tuple[int, ...]

    def __init__(
        self, folder: Folder, listener: int, options: RouterOptions, changed: Changed
    ) -> None:
        self.fds = (listener,)
        self.changed = changed
        self._folder = folder
        self._options = options
        self._process: Process | None = None
        self._applied = -1
        self._news = asyncio.Condition()

    def argv(self) -> Sequence[str]:
        """The command."""
        options = self._options
        return [
            *python_module("ml_pipeline.localplatform.router", "--state", str(self._folder.state)),
            *("--fd", str(self.fds[0]), "--sticky-header", options.sticky_header),
            *("--time-out-s", str(options.time_out_s)),
            *("--max-body-bytes", str(options.max_body_bytes)),
        ]

    async def ready(self, process: Process) -> int | None:
        """Wait for the first word that it has a state."""
        self._process, self._applied = process, -1
        if not await self._hear():
            await process.wait()
        return None

    async def watch(self, process: Process) -> str:
        """Ask every second which state it has; it has to be ended when it does not say."""
        poking = asyncio.create_task(self._poke_often())
        try:
            heard = True
            while heard:
                async with asyncio.timeout(ROUTER_LIMIT_S):
                    heard = await self._hear()
            async with asyncio.timeout(ROUTER_LIMIT_S):
                await process.wait()
        except TimeoutError:
            return f"it did not answer for {ROUTER_LIMIT_S:g} s"
        else:
            return "it ended"
        finally:
            poking.cancel()
            self._process = None

    async def _poke_often(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.poke()

    async def _hear(self) -> bool:
        """Take in one line; False at the end of its output."""
        if self._process is None or self._process.stdout is None:
            return False
        line = await self._process.stdout.readline()
        word, _, number = line.decode().partition(" ")
        if word == "applied":
            async with self._news:
                self._applied = int(number)
                self._news.notify_all()
        return bool(line)

    def poke(self) -> None:
        """Make it read the state again."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):  # it is going down: it reads at start
                self._process.stdin.write(b"\n")

    async def applied(self, generation: int, limit_s: float) -> None:
        """Wait until it routes by that state, or a newer one.

        Raises:
            PlatformUnavailableError: it does not within the limit; the state is kept, and it
                routes by it as soon as it is back.
        """
        self.poke()
        try:
            async with asyncio.timeout(limit_s), self._news:
                await self._news.wait_for(lambda: self._applied >= generation)
        except TimeoutError:
            raise PlatformUnavailableError(
                f"the router did not take the new state within {limit_s:g} s",
                remedy=f"Read {self._folder.logs / 'router.log'}, then try again.",
            ) from None
