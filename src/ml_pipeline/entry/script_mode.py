"""A training in script mode, run by the Python of an image that AWS publishes.

Sent along with each job as a plain file: nothing of ml_pipeline is there, nothing but the standard
library, and nothing newer than Python 3.9 may be used. Reads what `entry/train.py` reads in
SageMaker's layout and leaves the same; docs/containers.md has the whole contract.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

CONFIGURATION, DATA = 4, 5
#: In the environment of all a command starts, so that what left its group is found.
MARKER = "ML_PIPELINE_PROCESS"
_LOOK_S, _GRACE_S = 0.2, 20.0
_TAIL_BYTES, _FAILURE_CHARS = 8192, 1024
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY$")
_SECRET_LENGTH = 6


class Refusal(Exception):  # noqa: N818 - it names what the caller is told
    """Something the user can mend; `code` is the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> int:
    """Train, and leave everything where SageMaker collects it; the exit code."""
    environ = dict(os.environ)  # noqa: TID251 - a container's program reads its environment
    root = Path(environ.get("ML_PIPELINE_ROOT") or "/opt/ml")
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: asked.append(number))
    with tempfile.TemporaryDirectory(prefix="ml-pipeline-") as scratch:
        try:
            code, why = _train(root, Path(scratch), environ, asked)
        except Refusal as refusal:
            code, why = refusal.code, str(refusal)
    if asked:
        _say(f"stopped by {signal.Signals(asked[0]).name}: nothing is handed over")
    elif code:
        _leave_failure(root, why, environ)
    return code


def _train(root: Path, scratch: Path, environ: dict[str, str], asked: list[int]) -> tuple[int, str]:
    """Exit code, and what went wrong with the last that was printed."""
    job = _told(root)
    data = _only_file(root / "input" / "data" / "training")
    source = _unpacked(root / "input" / "data" / "source", scratch / "source")
    output = scratch / "output"
    output.mkdir()
    seen = _visible(environ, job, root, output)
    if job["requirements"]:
        installer = str(Path(__file__).with_name("install_requirements.py"))
        command = [sys.executable, installer, job["requirements"]]
        code, tail = _run(command, source, seen, asked)
        if code or asked:
            return code, f"the requirements in {job['requirements']} do not install\n{tail}"
    command = [_filled(word, data, output) for word in job["argv"]]
    _say(f"script mode: {' '.join(command)}")
    code, tail = _run(command, source, seen, asked)
    if code == 0 and not asked:
        _hand_over(output, root / "model", job)
    return code, f"the training ended with exit code {code}\n{tail}"


def _told(root: Path) -> dict[str, Any]:
    """What the job's hyperparameters say, by our names."""
    file = root / "input" / "config" / "hyperparameters.json"
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(CONFIGURATION, f"{file} cannot be read: {error}") from error
    job = {
        "argv": _json(given, "COMMAND", list),
        "hyperparameters": _json(given, "HYPERPARAMETERS", dict, "{}"),
        "variables": _json(given, "VARIABLES", dict, "{}"),
        "requirements": given.get("ML_PIPELINE_REQUIREMENTS", ""),
    }
    for name in ("ARTIFACT", "METRICS"):
        job[name.lower()] = given.get(f"ML_PIPELINE_{name}", "")
    for name in ("argv", "artifact", "metrics"):
        if not job[name]:
            called = {"argv": "COMMAND"}.get(name, name.upper())
            raise Refusal(CONFIGURATION, f"the container was not told ML_PIPELINE_{called}")
    return job


def _json(given: dict[str, str], name: str, kind: type, absent: str = "null") -> Any:
    text = given.get(f"ML_PIPELINE_{name}", absent)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if value is not None and not isinstance(value, kind):
        message = f"ML_PIPELINE_{name} is no JSON {kind.__name__}: {text[:200]!r}"
        raise Refusal(CONFIGURATION, message)
    return value


def _filled(word: str, data: Path, output: Path) -> str:
    values = {"data": str(data), "output": str(output)}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise Refusal(CONFIGURATION, f"{{{match[1]}}} in the command means nothing here")
        return values[match[1]]

    return re.sub(r"\{([a-z]+)\}", value, word)


def _only_file(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("*") if path.is_file())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise Refusal(DATA, f"{folder} should hold exactly one file with the rows, not {names}")
    return found[0]


def _unpacked(channel: Path, into: Path) -> Path:
    """The project's code; older Pythons have no filter, so names are looked at here."""
    into.mkdir()
    path = _only_file(channel)
    try:
        with tarfile.open(path) as archive:
            for entry in archive.getmembers():
                leads = (into / entry.name).resolve()
                if into.resolve() not in leads.parents or not (entry.isfile() or entry.isdir()):
                    raise Refusal(DATA, f"{path} holds {entry.name!r}, which is no file below it")
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(into, **safe)  # type: ignore[arg-type]  # noqa: S202 - seen above
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Refusal(DATA, f"{path} cannot be unpacked: {error}") from error
    return into


def _visible(
    environ: dict[str, str], job: dict[str, Any], root: Path, output: Path
) -> dict[str, str]:
    """The container's environment, what script mode sets besides, and the project's variables."""
    ours = {key: value for key, value in environ.items() if not key.startswith("ML_PIPELINE_")}
    here = str(Path(sys.executable).parent)
    return {
        **ours,
        # the Python the requirements went to
        "PATH": f"{here}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "SM_MODEL_DIR": str(output),
        "SM_CHANNEL_TRAINING": str(root / "input" / "data" / "training"),
        "SM_HPS": json.dumps(job["hyperparameters"]),
        **{key: str(value) for key, value in job["variables"].items()},
    }


def _run(
    command: list[str], cwd: Path, environ: dict[str, str], asked: list[int]
) -> tuple[int, str]:
    """Exit code as a shell gives it, and the last it printed; nothing it started is left."""
    marker = uuid.uuid4().hex
    program = shutil.which(command[0], path=environ.get("PATH")) or command[0]
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=cwd,
            env={**environ, MARKER: marker},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        message = f"{command[0]} cannot be started in the training image: {error.strerror}"
        raise Refusal(CONFIGURATION, message) from error
    kept: list[bytes] = [b""]
    passing = threading.Thread(target=_pass_on, args=(process, kept), daemon=True)
    passing.start()
    try:
        code = _wait(process, marker, asked)
    finally:
        _end(process.pid, marker, signal.SIGKILL)
        process.wait()
    passing.join(5)
    return (128 - code if code < 0 else code), kept[0].decode("utf-8", errors="replace").strip()


def _pass_on(process: subprocess.Popen[bytes], kept: list[bytes]) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    while True:
        chunk = os.read(process.stdout.fileno(), 65536)
        if not chunk:
            return
        kept[0] = (kept[0] + chunk)[-_TAIL_BYTES:]
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _wait(process: subprocess.Popen[bytes], marker: str, asked: list[int]) -> int:
    while not asked:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=_LOOK_S)
    _end(process.pid, marker, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        return process.wait(timeout=_GRACE_S)
    return -signal.SIGKILL


def _end(group: int, marker: str, number: signal.Signals) -> None:
    """Send a signal to the command's group, and to what left it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
    wanted = f"{MARKER}={marker}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), number)


def _hand_over(output: Path, model: Path, job: dict[str, Any]) -> None:
    """Everything the training left, and its metrics under our name for them too."""
    for path in output.rglob("*"):
        if not (path.is_file() or path.is_dir()):
            name = path.relative_to(output).as_posix()
            raise Refusal(DATA, f"the training left {name!r} in {{output}}, which is no plain file")
    shutil.copytree(output, model, dirs_exist_ok=True)
    for name in (job["artifact"], job["metrics"]):
        if not (model / name).is_file():
            _say(f"the training left no {name!r} in {{output}}")
    metrics = model / job["metrics"]
    if not metrics.is_file():
        return
    if metrics != model / "metrics.json":
        shutil.copyfile(metrics, model / "metrics.json")
    for name, value in _numbers(metrics).items():
        print(f"ml-pipeline metric {name}={value!r};", flush=True)  # noqa: T201 - read from the log


def _numbers(metrics: Path) -> dict[str, float]:
    """Those of the metrics that are finite numbers; whether all must be is judged elsewhere."""
    try:
        found = json.loads(metrics.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return {
        str(name): float(value)
        for name, value in (found.items() if isinstance(found, dict) else ())
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }


def _leave_failure(root: Path, text: str, environ: dict[str, str]) -> None:
    """Say why where SageMaker reads it; the end of a long text, without secrets."""
    for name, value in environ.items():
        if _SECRET.search(name) and len(value) >= _SECRET_LENGTH:
            text = text.replace(value, "***")
    first, _, rest = text.partition("\n")
    room = _FAILURE_CHARS - len(first) - 1
    shown = f"{first}\n{rest[-room:]}" if rest and room > 0 else first[:_FAILURE_CHARS]
    _say(first)
    place = root / "output" / "failure"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(shown, encoding="utf-8")


def _say(line: str) -> None:
    print(f"ml-pipeline: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the job's log


if __name__ == "__main__":
    sys.exit(main())
