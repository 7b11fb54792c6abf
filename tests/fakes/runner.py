"""A project whose environment is the one the tests run in."""

import atexit
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.ports.runner import CommandResult

if TYPE_CHECKING:
    from ml_pipeline.ports.runner import ProjectRunner


class FakeRunner:
    """Speaks `ports.runner.ProjectRunner`.

    `asked` lists every command with the requirement lines laid over for it, which are taken as
    met.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    def prepare(self) -> str:
        return "0" * 64

    def run(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        time_limit_s: float,
        extra: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> CommandResult:
        self.asked.append((tuple(argv), tuple(extra)))
        if argv[0] == "python" and argv[1].endswith(".py"):
            code = _warm(argv[1:], self._source, log)
        else:
            code = _cold(argv, self._source, log, time_limit_s)
        return CommandResult(argv=tuple(argv), exit_code=code, duration_s=0.0, log=log)


def _cold(argv: Sequence[str], source: Path, log: Path, time_limit_s: float) -> int:
    program = sys.executable if argv[0] == "python" else argv[0]
    with log.open("wb") as file:
        command = [program, *argv[1:]]
        done = subprocess.run(
            command, cwd=source, stdout=file, stderr=file, timeout=time_limit_s, check=False
        )
    return done.returncode


def _warm(argv: Sequence[str], source: Path, log: Path) -> int:
    server = _server()
    asked = {"argv": list(argv), "cwd": str(source), "log": str(log.resolve())}
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@cache
def _server() -> subprocess.Popen:
    script = Path(__file__).with_name("warm_python.py")
    server = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def end() -> None:
        server.stdin.close()
        server.stdout.close()
        server.wait(timeout=30)

    atexit.register(end)
    return server


if TYPE_CHECKING:
    _speaks: type[ProjectRunner] = FakeRunner
