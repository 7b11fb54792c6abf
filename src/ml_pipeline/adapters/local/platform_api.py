"""The embedded platform's admin API, as `localplatform.admin` serves it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from ml_pipeline.domain.errors import (
    BusyError,
    ConfigurationError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
    StorageError,
)
from ml_pipeline.ports.clock import Clock

_ERRORS: Mapping[str, type[PipelineError]] = {
    "busy": BusyError,
    "configuration": ConfigurationError,
    "refused": PlatformRefusedError,
    "storage": StorageError,
    "unavailable": PlatformUnavailableError,
}
#: Wait between two tries of a read, in seconds.
_AGAIN_S = 0.1
_UP = "Start it: ml-pipeline platform up."


class PlatformApi:
    """Asks the platform whose state lies in a folder.

    Address and token are read for each call: a platform that started again has new ones.

    Args:
        state: the project's state folder.
        clock: for waits.
        time_out_s: how long an answer may take; a write waits until the router has it.
        patience_s: how long a read is tried again while nothing listens.
    """

    def __init__(
        self, state: Path, clock: Clock, *, time_out_s: float = 30.0, patience_s: float = 5.0
    ) -> None:
        self._folder = state / "platform"
        self._clock = clock
        self._patience_s = patience_s
        self._client = loopback_client(time_out_s)

    def read(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What the platform says; tried again while it starts anew.

        Raises:
            PlatformUnavailableError: it does not answer.
        """
        deadline_s = self._clock.monotonic() + self._patience_s
        while True:
            try:
                return self._send("GET", path, query=query)
            except _NotThereError as exc:
                if self._clock.monotonic() >= deadline_s:
                    raise exc.named() from exc
            # Not `sleep`: traffic is restored through here after the run was asked to stop.
            self._clock.pause(_AGAIN_S)

    def write(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Change something; sent once.

        Raises:
            PipelineError: the platform's own refusal, as our error.
            PlatformUnavailableError: it does not answer.
        """
        try:
            return self._send(method, path, body=body)
        except _NotThereError as exc:
            raise exc.named() from exc

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        url, token = self._address()
        try:
            answer = self._client.request(
                method,
                url + path,
                params=query,
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
        except httpx.ConnectError as exc:
            raise _NotThereError(f"nothing answers at {url}") from exc
        except httpx.HTTPError as exc:
            raise PlatformUnavailableError(
                f"the embedded platform at {url} does not answer: {exc!r}",
                remedy=f"Read {self._folder / 'logs' / 'supervisor.log'}, then try again.",
            ) from exc
        return _understood(answer)

    def _address(self) -> tuple[str, str]:
        try:
            text = (self._folder / "platform.json").read_text(encoding="utf-8")
            token = (self._folder / "token").read_text(encoding="utf-8")
        except FileNotFoundError as exc:
            raise _NotThereError(f"no embedded platform is up on {self._folder}") from exc
        try:
            return str(json.loads(text)["admin_url"]), token
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise PlatformUnavailableError(
                f"{self._folder / 'platform.json'} is damaged, so the platform cannot be found",
                remedy="Run `ml-pipeline platform status`, and do what it says.",
            ) from exc


def loopback_client(time_out_s: float) -> httpx.Client:
    """A client for servers of this machine, which leaves nothing open between two requests."""
    # A proxy set in the environment has no business between two processes of one machine.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(trust_env=False, timeout=time_out_s, limits=limits)


def _understood(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    if answer.status_code in {401, 403}:  # its token changed between our reading and asking
        raise _NotThereError("the embedded platform does not know our token")
    try:
        said = answer.json()
        error = _ERRORS[said["error"]]
    except (ValueError, KeyError, TypeError):
        raise PlatformUnavailableError(
            f"the embedded platform answered {answer.status_code}: {answer.text[:200]}",
            remedy="Read its supervisor.log.",
        ) from None
    raise error(said["message"], remedy=said["remedy"])


class _NotThereError(Exception):
    """Nobody took the call: for a read, worth another try."""

    def named(self) -> PlatformUnavailableError:
        return PlatformUnavailableError(str(self), remedy=_UP)
