"""Asks the platform of a state folder, from the command line."""

import json
import re
import threading
import time
from typing import Any

from ml_pipeline.domain.errors import BusyError, PlatformUnavailableError
from ml_pipeline.localplatform.folder import Folder

#: After this long without an answer, in seconds, a platform is up where we cannot reach it.
UNREACHABLE_S = 3.0
_ADMIN_URL = re.compile(r"http://127\.0\.0\.1:[0-9]{1,5}")


def ask(folder: Folder, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The admin URL and its answer; None when nothing is up.

    A container has a loopback of its own: its platform holds the state, and is not there for
    others. One that starts or stops holds it as well, but has no address then.

    Raises:
        PlatformUnavailableError: something is up, and does not answer.
        BusyError: something is up where nobody here can reach it.
    """
    deadline_s = time.monotonic() + UNREACHABLE_S
    while True:
        answer = _once(folder, method, path)
        if answer is not None or not folder.address.exists() or not lives(folder):
            return answer
        if time.monotonic() >= deadline_s:
            raise BusyError(
                f"another call serves this state: {folder.lock} is held, and what holds it does"
                " not answer from here",
                remedy="End that `platform serve` first (in Dagger: `serve up`).",
            )
        threading.Event().wait(0.05)  # another process holds it; nothing tells us when


def _once(folder: Folder, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The admin URL and its answer; None when nothing is up."""
    where = _address(folder)
    if where is None:
        return None
    import httpx  # noqa: PLC0415 - 60 ms, and `control` is imported by the command line

    admin_url, token = where
    try:
        with httpx.Client(trust_env=False, timeout=10.0) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = client.request(method, admin_url + path, headers=headers)
    except httpx.ConnectError:
        return None  # killed without a chance to take its address back
    except httpx.HTTPError as exc:
        raise PlatformUnavailableError(
            f"the platform at {admin_url} does not answer: {exc!r}",
            remedy=f"Read {folder.logs / 'supervisor.log'}.",
        ) from exc
    if answer.status_code >= 500:
        raise PlatformUnavailableError(
            f"the platform at {admin_url} answered {answer.status_code}",
            remedy=f"Read {folder.logs / 'supervisor.log'}.",
        )
    if answer.status_code != 200:  # somebody else's port by now, or a platform started meanwhile
        return None
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return None
    return (admin_url, found) if isinstance(found, dict) else None


def _address(folder: Folder) -> tuple[str, str] | None:
    """Admin URL and token of the platform; None when none is up."""
    try:
        found = json.loads(folder.address.read_bytes())["admin_url"]
        token = folder.token.read_text(encoding="ascii")
        if _ADMIN_URL.fullmatch(found):
            return found, token
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # a crash or a person left it so
    if lives(folder):
        raise PlatformUnavailableError(
            f"the platform on {folder.root} is up, but {folder.address} cannot be read",
            remedy=f"End the process that holds {folder.lock}, and start the platform again.",
        )
    return None


def lives(folder: Folder) -> bool:
    """Whether a process holds the state."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only needed here

    try:
        with FileLock(folder.lock, timeout=0):
            return False
    except Timeout:
        return True
