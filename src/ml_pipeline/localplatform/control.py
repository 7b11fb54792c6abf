"""Start, look at and stop an embedded platform, from the command line or for a run."""

import contextlib
import json
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from pydantic import JsonValue

from ml_pipeline.domain.errors import (
    BusyError,
    ConfigurationError,
    PipelineError,
    PlatformUnavailableError,
)
from ml_pipeline.localplatform.asking import ask, lives
from ml_pipeline.localplatform.folder import Folder

#: The public port of a platform a person starts.
DEFAULT_PORT = 8080
#: How long a platform may take to start and to stop, in seconds.
START_LIMIT_S, STOP_LIMIT_S = 120.0, 30.0
_ERRORS: Mapping[str, type[PipelineError]] = {
    one.__name__: one for one in (BusyError, ConfigurationError, PlatformUnavailableError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformInfo:
    """A platform that is up.

    `lease` is the last one, held or ended; `pids` by name of the process.
    """

    state: Path
    public_url: str
    admin_url: str
    started_at: str
    for_run: bool
    pids: Mapping[str, int | None]
    weights: Mapping[str, int]
    lease: Mapping[str, JsonValue] | None
    deployments: tuple["DeploymentInfo", ...]

    @property
    def port(self) -> int:
        """The public port."""
        return int(self.public_url.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentInfo:
    """One deployment; `state` is starting, healthy, restarting or failed, and `reason` why."""

    endpoint: str
    slot: str
    model: str
    version: str
    chaos: str
    state: str
    healthy: bool
    reason: str
    url: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How a platform is started; one that is up already keeps its own.

    `time_out_s`: seconds a model server has for an answer. `idle_stop_s`: seconds without an
    admin call or lease after which a platform started for a run stops. `server`: module or file
    that serves a package. `environ`: what its processes see; they load models, so no secrets.
    """

    time_out_s: float = 30.0
    max_body_bytes: int = 8 * 1024 * 1024
    idle_stop_s: float = 600.0
    server: str = "ml_pipeline.serving.server"
    environ: Mapping[str, str] | None = None


def up(
    state: Path,
    *,
    port: int = 0,
    for_run: bool = False,
    sticky_header: str | None = None,
    options: UpOptions | None = None,
) -> PlatformInfo:
    """A platform on this state that is up: the one that is, or one started now, on its own.

    Args:
        state: the project's state folder; the platform keeps all it has in `platform/` there.
        port: public port; 0 takes the one it had before, or any free one.
        for_run: it stops by itself when nobody needs it any more.
        sticky_header: requests with the same value of it meet the same slot; None for none.
        options: see `UpOptions`.

    Raises:
        BusyError: one is up on this state with another port, or beyond reach.
        PlatformUnavailableError: the port is taken, or it did not come up; says why.
        StorageError: there is no space for it, or its folder cannot be written.
        ConfigurationError: the state was written by another version of this program.
    """
    folder = Folder(state.resolve())
    info = status(state)
    deadline_s = time.monotonic() + START_LIMIT_S
    while info is None:
        folder.make()
        with contextlib.suppress(BusyError):  # somebody else started one at the same moment
            command = _command(folder, port, sticky_header, options or UpOptions())
            whole = [*command, "--for-run"] if for_run else command
            _start(folder, whole, options.environ if options else None)
        info = _awaited(folder, deadline_s)
    if port not in {0, info.port}:
        raise BusyError(
            f"the platform on {folder.root} is up on port {info.port}, not {port}",
            remedy="Stop it first: ml-pipeline platform down.",
        )
    if info.for_run and not for_run:
        ask(folder, "POST", "/v1/keep")
        info = replace(info, for_run=False)
    return info


def status(state: Path) -> PlatformInfo | None:
    """What is up on this state, None when nothing is.

    Raises:
        PlatformUnavailableError: something is, and does not answer.
        BusyError: something is, in another container, where nobody here can reach it.
    """
    folder = Folder(state.resolve())
    answer = ask(folder, "GET", "/v1/status")
    if answer is None:
        return None
    admin_url, found = answer
    return PlatformInfo(
        state=folder.root,
        admin_url=admin_url,
        **{**found, "deployments": tuple(DeploymentInfo(**one) for one in found["deployments"])},
    )


def down(state: Path) -> bool:
    """Stop the platform and wait until it is gone; False when none was up. Its state stays.

    Raises:
        PlatformUnavailableError: it does not end.
        BusyError: one is up in another container, where nobody here can reach it.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only needed here

    folder = Folder(state.resolve())
    if ask(folder, "POST", "/v1/shutdown") is None:
        return False
    try:
        with FileLock(folder.lock, timeout=STOP_LIMIT_S):
            return True
    except Timeout:
        raise PlatformUnavailableError(
            f"the platform on {folder.root} did not end within {STOP_LIMIT_S:g} s",
            remedy=f"Read {folder.logs / 'supervisor.log'}, and end the process it names.",
        ) from None


def _command(folder: Folder, port: int, sticky_header: str | None, options: UpOptions) -> list[str]:
    command = [sys.executable, "-P", "-m", "ml_pipeline.localplatform.supervisor", "--detach"]
    command += ["--state", str(folder.state), "--port", str(port)]
    command += ["--idle-stop-s", str(options.idle_stop_s), "--server", options.server]
    command += ["--sticky-header", sticky_header or ""]
    command += ["--time-out-s", str(options.time_out_s)]
    return [*command, "--max-body-bytes", str(options.max_body_bytes)]


def _start(folder: Folder, command: list[str], environ: Mapping[str, str] | None) -> None:
    log = folder.logs / "supervisor.log"
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=None if environ is None else dict(environ),
        ) as starter,
    ):
        line = _first_line(starter.stdout, START_LIMIT_S)
    word = json.loads(line) if line else {"message": "the platform did not start"}
    if "serving" not in word:
        error = _ERRORS.get(word.get("error", ""), PlatformUnavailableError)
        raise error(word["message"], remedy=word.get("remedy", f"Read {log}."))


def _first_line(stream: IO[bytes] | None, limit_s: float) -> bytes:
    """The first line, empty when the stream ends or nothing comes in time."""
    if stream is None:
        return b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(limit_s) else b""


def _awaited(folder: Folder, deadline_s: float) -> PlatformInfo | None:
    """What came up; None when it is gone again, as after a stop by itself on a slow machine."""
    while time.monotonic() < deadline_s:
        info = status(folder.state)
        if info is not None or not lives(folder):
            return info
        threading.Event().wait(0.05)  # another process starts it; nothing tells us when
    raise PlatformUnavailableError(
        f"the platform on {folder.state} did not come up within {START_LIMIT_S:g} s",
        remedy=f"Read {folder.logs / 'supervisor.log'}.",
    )
