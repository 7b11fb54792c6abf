"""What a run needs of the machine: Python, uv, git, a disk to write to, a free port."""

import errno
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.settings.findings import Finding, fail, ok, warn

_LEAST_PYTHON = (3, 11)
_MIB = 1024 * 1024
#: An environment of a small project with scikit-learn and the pipeline's state take about half.
_LEAST_FREE_MIB = 1024
_AMPLE_FREE_MIB = 4096
STATE = ".ml-pipeline"


def examine(folder: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Python, uv, git and the project's folder."""
    yield _python(sys.version_info[:3])
    yield _uv()
    yield _git(folder, environ)
    if folder.is_dir():
        yield _writable(folder)
        yield _disk(shutil.disk_usage(folder).free // _MIB)


def port(source: Path, number: int) -> Iterator[Finding]:
    """The router's public port, when a certain one is asked for."""
    if number == 0:
        return
    if Folder(source / STATE).address.exists():
        yield ok("port", f"{number} is for the project's own platform, which is up or was")
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be used: {error.strerror}"
            yield fail("port", f"{number} {why}", "Set local.port to another port, or to 0.")
            return
    yield ok("port", f"{number} is free")


def _python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version[:2] < _LEAST_PYTHON:
        return fail("python", f"this is Python {text}", "Use Python 3.11 or newer.")
    return ok("python", text)


def _uv() -> Finding:
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # an extra may be missing

        return ok("uv", find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        remedy = "Install the extra `local`, which brings it."
        return ok("uv", found) if found else fail("uv", "is not installed", remedy)


def _git(folder: Path, environ: Mapping[str, str]) -> Finding:
    if shutil.which("git", path=environ.get("PATH")) is None:
        return warn("git", "is not installed", "Install git, so that evidence names the commit.")
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        remedy = "Run `git init` and commit, so that evidence names the commit."
        return warn("git", "this is no repository", remedy)
    return ok("git", "evidence will name the commit")


def _writable(folder: Path) -> Finding:
    if os.access(folder, os.W_OK | os.X_OK):
        return ok("folder", f"{folder} can be written to")
    remedy = "Make it writable: runs and state are kept in it."
    return fail("folder", f"{folder} cannot be written to", remedy)


def _disk(free_mib: int) -> Finding:
    message = f"{free_mib} MiB are free"
    if free_mib < _LEAST_FREE_MIB:
        return fail("disk", message, f"Free at least {_LEAST_FREE_MIB} MiB.")
    if free_mib < _AMPLE_FREE_MIB:
        return warn("disk", message, f"Free {_AMPLE_FREE_MIB} MiB for a project of some size.")
    return ok("disk", message)
