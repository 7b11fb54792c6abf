"""One process at a time works on a project."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ml_pipeline.domain.errors import BusyError, StorageError

_HOLDER = re.compile(r"run (?P<run_id>\S+), process (?P<pid>\d+),")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on a project: a run, and the id of its process."""

    run_id: str
    pid: int


def holder_of(state: Path) -> Holder | None:
    """Who works on the project of this state folder, None when nobody does."""
    try:
        told = _HOLDER.match((state / "run.holder").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if told is None:
        return None
    import psutil

    pid = int(told["pid"])  # killed, it left its name
    return Holder(run_id=told["run_id"], pid=pid) if psutil.pid_exists(pid) else None


@contextmanager
def held(state: Path, run_id: str, *, wait: bool) -> Iterator[None]:
    """Hold the project for a run.

    Args:
        state: the project's state folder, made when it is not there.
        run_id: told to whoever comes second.
        wait: wait for another run's end.

    Raises:
        BusyError: another run holds it, and `wait` is not set.
        StorageError: the folder cannot be written.
    """
    lock, holder = FileLock(state / "run.lock"), state / "run.holder"
    try:
        state.mkdir(parents=True, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        told = holder.read_text(encoding="utf-8") if holder.is_file() else "another run"
        raise BusyError(
            f"{told} is working on this project ({state / 'run.lock'} is held)",
            remedy="Wait for it with --wait, or end it: Ctrl-C, or `kill -TERM` its process.",
        ) from None
    except OSError as error:
        raise StorageError(
            f"{state} cannot be written: {error.strerror or error}",
            remedy="Free space there, or name another folder with --state.",
        ) from error
    try:
        with suppress(OSError):  # only told to whoever comes second: a full disk may pass
            holder.write_text(f"run {run_id}, process {os.getpid()},", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
