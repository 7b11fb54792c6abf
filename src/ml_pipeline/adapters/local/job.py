"""What a training job is on this machine: a folder, and a supervisor that outlives the pipeline.

`python -m ml_pipeline.adapters.local.job FOLDER` starts the supervisor, leaves it behind and
ends. It runs in the pipeline's interpreter with the environment the training is to see. Its
folder holds `job.json` (what was asked), `process.json` (written once, by the one supervisor
that owns the job), `exit.json` (written last), both logs and `output/`.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from ml_pipeline.adapters.local.processes import born, end_all, masked

JOB, PROCESS, EXIT = "job.json", "process.json", "exit.json"
LOG, SUPERVISOR_LOG, OUTPUT = "train.log", "supervisor.log", "output"
#: Values of variables handed through that are shorter are in every log by chance.
_SECRET_LENGTH = 6


class _Stopped(Exception):  # noqa: N818 - no error: a request to stop
    """Somebody asked this supervisor to stop."""


def main(folder: Path) -> None:
    """Leave a supervisor behind and return once it owns the job, or another one does."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(ready, 1)
        return
    os.close(ready)
    owned = claim(folder)
    os.write(tell, b"1")
    os.close(tell)
    if owned:
        supervise(folder)


def claim(folder: Path) -> bool:
    """Write this process down as the job's supervisor, unless there is one already."""
    part = folder / f".{PROCESS}.{os.getpid()}"
    part.write_text(json.dumps({"pid": os.getpid(), "create_time": born(os.getpid())}))
    try:
        os.link(part, folder / PROCESS)  # unlike a rename it fails when the name is taken
    except FileExistsError:
        return False
    finally:
        part.unlink()
    return True


def supervise(folder: Path) -> None:
    """Run the training to its end or its time limit, then write how it ended."""
    signal.signal(signal.SIGTERM, _stop)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    code: int | None = None
    reason = ""
    try:
        code = _run(job, folder)
    except subprocess.TimeoutExpired:
        reason = f"stopped after {job['time_limit_s']:g} s, its time limit"
    except _Stopped:
        reason = "stopped by SIGTERM"
    except OSError as error:
        reason = f"could not be started: {error}"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_all(None, job["marker"])
    mask_log(folder, job)
    finish(folder, code, reason)


def finish(folder: Path, code: int | None, reason: str) -> None:
    """Write how the job ended; the first word stands."""
    part = folder / f".{EXIT}.{os.getpid()}"
    with part.open("w", encoding="utf-8") as file:
        json.dump({"exit_code": code, "reason": reason}, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, folder / EXIT)
    except FileExistsError:
        return
    finally:
        part.unlink()


def mask_log(folder: Path, job: dict[str, Any]) -> None:
    """Take values of variables handed through, and passwords of addresses, out of the log."""
    log = folder / LOG
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    values = [os.environ.get(name, "") for name in job["secret_names"]]  # noqa: TID251 - the job's
    clean = masked(text, [value for value in values if len(value) >= _SECRET_LENGTH])
    if clean != text:
        log.write_text(clean, encoding="utf-8")


def _run(job: dict[str, Any], folder: Path) -> int:
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            job["argv"],
            cwd=job["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        return process.wait(timeout=job["time_limit_s"])


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


if __name__ == "__main__":
    main(Path(sys.argv[1]))
