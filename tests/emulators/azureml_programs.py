"""What runs in an emulated workspace: a job's container and a deployment's container."""
# ruff: noqa: C901 - an emulator has a clock of its own, and one branch a state

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.emulators.project_image import started

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "UV_CACHE_DIR")


@dataclass(frozen=True, kw_only=True)
class Image:
    """What an image holds: the project's code, its environment, and a model server.

    `server` is a program with the options of `ml_pipeline.serving.server`; without one, the
    image's own entry program serves, as on the real platform.
    """

    source: Path
    project_env: Path
    server: Path | None = None


def environment(variables: dict[str, str]) -> dict[str, str]:
    ours = {key: os.environ[key] for key in KEPT if key in os.environ}
    return {**ours, "PYTHONUNBUFFERED": "1", **variables}


@dataclass
class Program:
    """One process with its log, in a process group of its own."""

    argv: list[str]
    environ: dict[str, str]
    cwd: Path
    log: Path
    process: subprocess.Popen | None = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=self.cwd, env=self.environ, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def stop(self) -> None:
        """As a container ends: with every process in it, whatever group that is in."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            inside = psutil.Process(self.process.pid).children(recursive=True)
            for one in inside:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def tail(self, lines: int) -> str:
        text = self.log.read_text(errors="replace") if self.log.is_file() else ""
        return "\n".join(text.splitlines()[-lines:])


def job_program(body: dict, image: Image, folders: dict[str, Path], home: Path, mlflow: dict):
    """The container of a command job, its inputs and outputs mounted as folders."""
    command = body["properties"]["command"]
    for name, place in folders.items():
        for kind in ("inputs", "outputs"):
            command = command.replace(f"${{{{{kind}.{name}}}}}", str(place))
    argv = started(shlex.split(command))
    variables = {
        **(body["properties"].get("environmentVariables") or {}),
        "AZUREML_RUN_ID": home.name,
        "AZUREML_ARM_WORKSPACE_NAME": "ws",
        "ML_PIPELINE_PROJECT_ENV": str(image.project_env),
        "ML_PIPELINE_SOURCE": str(image.source),
        **mlflow,
    }
    home.mkdir(parents=True, exist_ok=True)
    return Program(argv, environment(variables), home, home / "log.txt")


def server_program(body: dict, image: Image, model: Path, home: Path) -> Program:
    """The container of a deployment; `port.json` in its home says where it answers."""
    home.mkdir(parents=True, exist_ok=True)
    variables = dict(body["properties"].get("environmentVariables") or {})
    ready = home / "port.json"
    ready.unlink(missing_ok=True)
    options = ["--port", "0", "--ready-file", str(ready)]
    if image.server is None:
        # Azure starts the image's entry point; the options are this emulator's, for its port
        argv = started((), [*options, "--host", "127.0.0.1"])
        variables["AZUREML_MODEL_DIR"] = str(model)
    else:
        package = model / "package" if (model / "package").is_dir() else model
        slot, version = variables["ML_PIPELINE_SLOT"], variables["ML_PIPELINE_VERSION"]
        known = ["--slot", slot, "--version", version, "--package", str(package)]
        argv = [sys.executable, str(image.server), *options, *known]
    return Program(argv, environment(variables), home, home / "log.txt")


def port_of(program: Program) -> int | None:
    """The port a model server announced; None while it has not."""
    try:
        return int(json.loads((program.cwd / "port.json").read_text())["port"])
    except (OSError, ValueError):
        return None


class Job:
    """A job's life: states with simulated times around a real process.

    Args:
        program: makes the process of one try; a preempted job gets a second.
        latency_s: how long each state before and after running lasts.
    """

    BEFORE = ("NotStarted", "Starting", "Provisioning", "Preparing", "Queued")

    def __init__(self, program, latency_s: float, *, limit_s: float | None) -> None:
        self._make, self._latency_s, self._limit_s = program, latency_s, limit_s
        self.status = "NotStarted"
        self.stuck = self.preempt = self.fail = False
        self._cancelled = threading.Event()
        self.program: Program | None = None
        self.tries = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def cancel(self) -> None:
        if self.status not in {"Completed", "Failed", "Canceled"}:
            self.status = "CancelRequested"
            self._cancelled.set()

    def _run(self) -> None:
        self.status = self._life()
        if self.program is not None:
            self.program.stop()

    def _life(self) -> str:
        for state in self.BEFORE:
            self.status = state
            if self._cancelled.wait(self._latency_s):
                return self._gone()
        while self.stuck:
            if self._cancelled.wait(0.02):
                return self._gone()
        self.status, self.tries = "Running", self.tries + 1
        self.program = self._make()
        self.program.start()
        begun = time.monotonic()
        while self.program.code is None:
            if self._cancelled.wait(0.02):
                return self._gone()
            if self.preempt:
                self.preempt = False
                self.program.stop()
                return self._life()
            if self._limit_s is not None and time.monotonic() - begun > self._limit_s:
                return "Failed"
        self.status = "Finalizing"
        self._cancelled.wait(self._latency_s)
        return "Completed" if self.program.code == 0 and not self.fail else "Failed"

    def _gone(self) -> str:
        time.sleep(self._latency_s)
        return "Canceled"
