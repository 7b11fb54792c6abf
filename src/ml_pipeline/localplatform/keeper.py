"""Keeps one process running: start, readiness, watching, starting again after a crash."""

import asyncio
import contextlib
import logging
import signal
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from ml_pipeline.localplatform.backoff import Backoff
from ml_pipeline.localplatform.records import Phase

#: Seconds a process has to come up; loading a model of some hundred MB takes about ten.
START_LIMIT_S = 60.0
#: Seconds a process has to end after SIGTERM.
STOP_LIMIT_S = 7.0
#: A log longer than this is set aside when its process starts again, in bytes.
LONGEST_LOG_BYTES = 4 * 1024 * 1024


T = TypeVar("T")
log = logging.getLogger("ml_pipeline.keeper")


class Program(Protocol):
    """What is kept running."""

    name: str
    fds: tuple[int, ...]  #: file descriptors it inherits
    talks: bool  #: whether its standard output is read instead of logged

    def argv(self) -> Sequence[str]:
        """The command of the next start."""

    async def ready(self, process: Process) -> int | None:
        """Wait until it serves; where it listens, if that is new with each start."""

    async def watch(self, process: Process) -> str:
        """Watch it as long as it does well; why it has to be ended."""

    def changed(self, phase: Phase, port: int | None, reason: str) -> None:
        """Learn how it fares."""


class Keeper:
    """Runs a program until it is stopped, or given up.

    Args:
        program: what is kept running.
        log: file that gets its output.
        backoff: when to start it again.
    """

    def __init__(self, program: Program, log: Path, backoff: Backoff) -> None:
        self._program = program
        self._log = log
        self._backoff = backoff
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, None between two."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.create_task(self._keep(), name=f"keep {self._program.name}")

    async def stop(self) -> None:
        """End the process, politely first; twice is not an error."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        self._tell(Phase.STARTING, "")
        while True:
            try:
                why = await self._live()
            except Exception as exc:  # such as a full disk: no reason to leave it unattended
                log.exception("%s could not be kept running", self._program.name)
                why = f"it could not be kept running: {exc!r}"
            delay_s = self._backoff.crashed(time.monotonic())
            if delay_s is None:
                self._tell(Phase.FAILED, f"{why}; given up after {self._backoff.recent} crashes")
                return
            self._tell(Phase.RESTARTING, why)
            await asyncio.sleep(delay_s)

    def _tell(self, phase: Phase, why: str) -> None:
        try:
            self._program.changed(phase, None, why)
        except Exception:  # likewise
            log.exception("%s is %s, which could not be recorded", self._program.name, phase)

    async def _live(self) -> str:
        """One life of the process; why it ended."""
        process = self._process = await self._spawn()
        try:
            ended = asyncio.create_task(process.wait())
            port, why = await _either(ended, self._program.ready(process), START_LIMIT_S)
            if not why:
                self._program.changed(Phase.HEALTHY, port, "")
                sick, why = await _either(ended, self._program.watch(process), None)
                why = why or str(sick)
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # what does not answer does not heed a polite request either
            return why
        finally:
            await _end(process)
            self._process = None

    async def _spawn(self) -> Process:
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > LONGEST_LOG_BYTES:
                self._log.replace(self._log.with_suffix(".1.log"))
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self._program.argv(),
                stdin=PIPE,
                stdout=PIPE if self._program.talks else log,
                stderr=log,
                pass_fds=self._program.fds,
                start_new_session=True,  # Ctrl-C at the terminal is the supervisor's to handle
            )


async def _either(
    ended: "asyncio.Task[int]", work: Coroutine[None, None, T], limit_s: float | None
) -> tuple[T | None, str]:
    """What `work` came to, or why the process cannot go on."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({ended, task}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return None, _ending(ended.result())
        if not task.done():
            return None, f"it did not come up within {limit_s:g} s"
        return task.result(), ""
    finally:
        task.cancel()
        await asyncio.wait({task})


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    return f"it was ended by {signal.Signals(-code).name}"


async def _end(process: Process) -> None:
    """End a process; what does not heed SIGTERM gets SIGKILL."""
    for ask, limit_s in ((process.terminate, STOP_LIMIT_S), (process.kill, None)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            ask()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await process.wait()
