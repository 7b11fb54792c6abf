"""One command, its output passed on, and the end of everything it started."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ml_pipeline.domain.errors import ConfigurationError

#: In the environment of the command and of all it starts, so that what left its group is found.
MARKER = "ML_PIPELINE_PROCESS"
#: Clouds kill a container 30 to 120 s after they asked it to stop.
GRACE_S = 20.0
_LOOK_S = 0.2
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: `code` as a shell gives it, and the last it printed.

    `signal` is the one this program was asked to stop with, None when nobody asked.
    """

    code: int
    tail: str
    signal: int | None


def run_to_end(
    argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], grace_s: float = GRACE_S
) -> Ended:
    """Run a command; SIGTERM and SIGINT are passed on to it and all it started.

    When this returns, nothing the command started is left.

    Raises:
        ConfigurationError: there is no such program.
    """
    marker = uuid.uuid4().hex
    asked: list[int] = []
    with _listening(asked):
        try:
            process = subprocess.Popen(
                argv,
                cwd=cwd,
                env={**environ, MARKER: marker},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{argv[0]} cannot be started in {cwd}: {error.strerror or error}",
                remedy="Correct the training command, or build the image with the program in it.",
            ) from error
        passing = _Passing(process)
        try:
            code = _wait(process, marker, asked, grace_s)
        finally:
            _end(process.pid, marker, signal.SIGKILL)
            process.wait()
        passing.join(_LOOK_S * 25)
    shell_code = 128 - code if code < 0 else code
    return Ended(shell_code, passing.tail(), asked[0] if asked else None)


def _wait(process: subprocess.Popen[bytes], marker: str, asked: list[int], grace_s: float) -> int:
    while not asked:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_LOOK_S)
    _end(process.pid, marker, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=grace_s)
    return -signal.SIGKILL


@contextmanager
def _listening(asked: list[int]) -> Iterator[None]:
    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    before = {one: signal.signal(one, note) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end(group: int, marker: str, number: signal.Signals) -> None:
    """Send a signal to the command's group, and to what left it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    for pid in _marked(marker):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _marked(marker: str) -> Iterator[int]:
    """Processes with the marker in their environment, where the system shows it (Linux)."""
    wanted = f"{MARKER}={marker}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)


class _Passing(threading.Thread):
    """Passes a command's output on as it comes, and keeps the last of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True, name="output")
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._from = process.stdout
        self._kept = b""
        self.start()

    def run(self) -> None:
        while chunk := os.read(self._from.fileno(), 65536):
            self._kept = (self._kept + chunk)[-_TAIL_BYTES:]
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()

    def tail(self) -> str:
        """The last it printed, as whole lines where there are several."""
        return self._kept.decode("utf-8", errors="replace").strip()
