"""Commands as processes of their own, and the end of everything they started.

A command gets its own session and a marker in its environment. The marker is inherited, so a
grandchild that left the session and outlived its parent is still found.
"""

import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ml_pipeline.domain.errors import TimeLimitError
from ml_pipeline.ports.clock import Clock

#: Set in the environment of everything the pipeline starts for a project.
MARKER = "ML_PIPELINE_PROCESS"
_POLL_S = 0.1
_GRACE_S = 5.0
#: A process may fork while it is being ended, so it is looked for again; each round kills.
_ROUNDS = 20
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command ready to start: `argv[0]` is a path, `environ` is all it will see."""

    argv: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]


def new_marker() -> str:
    """A value for `MARKER` nothing else carries."""
    return uuid.uuid4().hex


def run_to_end(launch: Launch, *, log: Path, time_limit_s: float, clock: Clock) -> int:
    """Run a command until it ends; its exit code, negative for a signal.

    When this returns or raises, nothing the command started is left.

    Args:
        launch: what to start; `MARKER` is added to its environment.
        log: file both streams go to, replaced.
        time_limit_s: seconds.
        clock: asked for time, and whether the run was asked to stop.

    Raises:
        TimeLimitError: it ran longer.
        InterruptedRunError: the run was asked to stop.
    """
    marker = new_marker()
    began = clock.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            env={**launch.environ, MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while (code := _ended(process)) is None:
            clock.check()
            if clock.monotonic() - began > time_limit_s:
                raise TimeLimitError(
                    f"`{shown(launch.argv)}` ran longer than {time_limit_s:g} s and was stopped"
                    " with all it had started",
                    remedy=f"Raise its time limit, or see in {log} what it waited for.",
                )
        return code
    finally:
        end_all(process.pid if process.returncode is None else None, marker)
        process.wait()


def shown(argv: Iterable[str]) -> str:
    """A command for people: programs without their folder, at most 120 characters."""
    program, *rest = argv
    text = " ".join([Path(program).name, *rest])
    return text if len(text) <= 120 else text[:119] + "…"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without these values, and without user and password in any address.

    >>> masked("GET https://me:pass@host/x with k-12345678", ["k-12345678"])
    'GET https://***@host/x with ***'
    """
    for secret in sorted((value for value in secrets if value.strip()), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _USER_INFO.sub("***", text)


def end_all(pid: int | None, marker: str, *, grace_s: float = _GRACE_S) -> None:
    """End a process, all below it and all that carry the marker: asked first, then killed.

    Args:
        pid: the process at the root, None when it is gone.
        marker: value of `MARKER`.
        grace_s: seconds between asking and killing.

    Raises:
        RuntimeError: processes are left that not even SIGKILL ends.
    """
    found = _family(pid) | marked(marker)
    _signal(found, signal.SIGTERM)
    left = _outlived(found, grace_s) | marked(marker)
    for _ in range(_ROUNDS):
        if not left:
            return
        _signal(left, signal.SIGKILL)
        left = _outlived(left, 1) | marked(marker)
    raise RuntimeError(f"cannot end processes {sorted(process.pid for process in left)}")


def marked(marker: str) -> set[psutil.Process]:
    """Living processes that carry the marker, this one left out."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return {process for process in others if _carries(process, marker)}


def born(pid: int) -> float:
    """When a living process was created: with its number, what tells it from all others."""
    return psutil.Process(pid).create_time()


def alive(pid: int, create_time: float) -> bool:
    """Whether this very process still runs; another one that got its number does not count."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - create_time) < 1 and _lives(process)
    except psutil.NoSuchProcess:
        return False


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return None


def _family(pid: int | None) -> set[psutil.Process]:
    try:
        root = psutil.Process(pid) if pid is not None else None
        return {root, *root.children(recursive=True)} if root else set()
    except psutil.NoSuchProcess:
        return set()


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        return process.environ().get(MARKER) == marker and _lives(process)
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    """False for a zombie too: where nobody reaps, as in many containers, it stays for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _outlived(processes: set[psutil.Process], within_s: float) -> set[psutil.Process]:
    deadline = time.monotonic() + within_s
    while True:
        _, left = psutil.wait_procs(processes, timeout=_POLL_S)
        processes = {process for process in left if _lives(process)}
        if not processes or time.monotonic() > deadline:
            return processes


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
