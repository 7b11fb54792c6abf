"""The generator's process as its parent holds it."""

import json
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ml_pipeline.domain.errors import ChecksFailedError
from ml_pipeline.loadgen.order import STOP, Order
from ml_pipeline.ports.load import LoadReport

REPORT = "load-report.json"
LOG = "load-generator.log"
_TOLD_BYTES = 2000


class Worker:
    """A process that carries out one order.

    It is in a session of its own: Ctrl-C reaches the pipeline alone, which then ends the traffic
    in its own order. When the pipeline is killed, the pipe closes and the process ends itself.

    Args:
        order: what to send.
        work: an existing folder for report and log.
        environ: all it sees of an environment.
    """

    def __init__(self, order: Order, work: Path, environ: Mapping[str, str]) -> None:
        self._report = work / REPORT
        self._log = work / LOG
        self._report.unlink(missing_ok=True)
        # -P: a module of the user's project must not stand in for one of the worker's.
        argv = [sys.executable, "-P", "-m", "ml_pipeline.loadgen.worker"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*argv, "--report", str(self._report)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=dict(environ),
            )
        self._write(order.encoded())

    def _write(self, data: bytes) -> None:
        pipe = self._process.stdin
        # A process that died is noticed where its answer is awaited.
        with suppress(BrokenPipeError):
            if pipe is not None and not pipe.closed:
                pipe.write(data)
                pipe.flush()

    def speaks_within(self, seconds: float) -> bool:
        """Wait that long for its first word, or its end."""
        pipe = self._process.stdout
        return pipe is None or bool(select.select([pipe], [], [], seconds)[0])

    def why_unreachable(self) -> str | None:
        """Its first word: why nothing takes connections, None when the first request has left.

        Raises:
            ChecksFailedError: it ended without a word.
        """
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            self._process.wait()
            raise self._broken()
        said: dict[str, str] = json.loads(line)
        return said.get("why")

    def ended_within(self, seconds: float) -> bool:
        """Wait that long for its end."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def report(self) -> LoadReport:
        """What it measured, once it has ended.

        Raises:
            ChecksFailedError: it left no report.
        """
        if self._process.returncode != 0:
            raise self._broken()
        try:
            return TypeAdapter(LoadReport).validate_json(self._report.read_bytes())
        except (OSError, ValidationError) as error:
            raise self._broken() from error

    def ask_to_stop(self) -> None:
        """Let it finish what is under way, report and end."""
        self._write(STOP)

    def end(self) -> None:
        """It is gone, and so is everything that held on to it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what could not be written is written on closing
                if pipe is not None:
                    pipe.close()
        if self._log.exists() and not self._log.stat().st_size:
            self._log.unlink()

    def _broken(self) -> ChecksFailedError:
        # A log with nothing in it is not kept.
        told = self._log.read_bytes() if self._log.exists() else b""
        message = told[-_TOLD_BYTES:].decode("utf-8", "replace").strip() or "no message"
        return ChecksFailedError(
            f"the load generator broke (exit {self._process.returncode}): {message}",
            remedy="Run the load test again; should it break again, report its message.",
        )
