"""Our programs as processes of their own, without three seconds of imports each time.

A program is forked from a process that has imported what runs import; from there on it is like
any other: own environment, folder, session, output and exit code, and killed like any other.
Without it half of what the whole suite costs would be imports of MLflow. That commands start from
nothing is seen where they are started with `subprocess`.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The command as it is installed.
ML_PIPELINE = Path(sys.executable).with_name("ml-pipeline")

_FROM = multiprocessing.get_context("forkserver")
_FROM.set_forkserver_preload(["tests.fakes.preloaded", __name__])


class Launched:
    """A program in the background; what `subprocess.Popen` offers of it.

    Args:
        program: a Python file.
        words: its arguments.
        log: gets what it prints, after what is in it.
        environ: all of its environment.
    """

    def __init__(
        self, program: Path, words: Sequence[str], log: Path, environ: Mapping[str, str]
    ) -> None:
        told = ((str(program), *words), str(log), dict(environ), str(Path.cwd()))
        self._process = _FROM.Process(target=_begin, args=told, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("ml-pipeline", timeout)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _begin(argv: Sequence[str], log: str, environ: Mapping[str, str], folder: str) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()  # noqa: TID251 - the program's own, and only this
    os.environ.update(environ)  # noqa: TID251
    os.chdir(folder)
    sys.argv = list(argv)
    runpy.run_path(argv[0], run_name="__main__")
