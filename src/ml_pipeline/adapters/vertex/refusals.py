"""Where Google's exceptions end: refused, or unavailable after a few bounded attempts."""

from collections.abc import Callable
from typing import Any, TypeVar

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from requests.exceptions import ConnectionError as HttpConnectionError
from requests.exceptions import Timeout as HttpTimeout

from ml_pipeline.domain.errors import PipelineError, PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.clock import Clock

Answer = TypeVar("Answer")

#: Seconds between attempts when the platform names none.
PAUSES_S = (0.5, 1.0, 2.0)
#: The longest a platform may make us wait between two attempts.
LONGEST_S = 60.0
#: Signed out, above all "token expired": one attempt with a fresh token.
_SIGNED_OUT = (api.Unauthenticated, api.Unauthorized)
_AGAIN = (
    api.TooManyRequests,
    api.ServerError,
    api.RetryError,
    api.Aborted,
    auth.TransportError,
    HttpConnectionError,
    HttpTimeout,
    ConnectionError,
)


class Attempts:
    """Asks Google, again where that helps.

    Args:
        clock: pauses between attempts; they are real seconds, and go on while cleaning up.
        renew: gets a fresh token.
    """

    def __init__(self, clock: Clock, renew: Callable[[], None]) -> None:
        self._clock = clock
        self._renew = renew

    def __call__(self, what: str, ask: Callable[[], Answer]) -> Answer:
        """The answer of `ask`.

        `google.api_core.exceptions.NotFound` passes through: each caller knows what it means.

        Args:
            what: what is asked, for messages: "to submit the job".
            ask: one call, safe to make twice.

        Raises:
            PlatformRefusedError: 400, 403, 409, or 401 with a fresh token.
            PlatformUnavailableError: 429, 5xx, no connection or no answer, every time, or
                until the run was asked to stop.
        """
        try:
            return self._patiently(what, ask)
        except api.NotFound:
            raise
        except _SIGNED_OUT:
            self._renewed(what)
        except (auth.GoogleAuthError, api.GoogleAPIError) as error:
            raise _ended(what, error) from error
        try:
            return self._patiently(what, ask)
        except api.NotFound:
            raise
        except (auth.GoogleAuthError, api.GoogleAPIError) as error:
            raise _ended(what, error) from error

    def _patiently(self, what: str, ask: Callable[[], Answer]) -> Answer:
        pauses, cleaning_up = iter(PAUSES_S), self._clock.stopped
        while True:
            try:
                return ask()
            except _AGAIN as error:
                pause_s = next(pauses, None)
                if pause_s is None:
                    raise _unavailable(what, error) from error
                asked_s = min(_asked_pause_s(error) or pause_s, LONGEST_S)
                self._clock.wait_to_retry(asked_s, cleaning_up=cleaning_up)

    def _renewed(self, what: str) -> None:
        try:
            self._patiently(what, self._renew)
        except auth.GoogleAuthError as error:
            raise _signed_out(what, error) from error


def _asked_pause_s(error: Exception) -> float | None:
    """Seconds the platform asked for: `RetryInfo` over gRPC, `Retry-After` over HTTP."""
    for detail in getattr(error, "details", None) or ():
        if isinstance(detail, RetryInfo):
            return float(detail.retry_delay.ToTimedelta().total_seconds())
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    text = str(headers.get("Retry-After", ""))
    return float(text) if text.isdigit() else None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:500]}"


def _ended(what: str, error: Exception) -> PipelineError:
    """Why trying again changes nothing."""
    signed_out = isinstance(error, (*_SIGNED_OUT, auth.GoogleAuthError))
    return _signed_out(what, error) if signed_out else _refused(what, error)


def _refused(what: str, error: Exception) -> PipelineError:
    return PlatformRefusedError(
        f"Vertex AI refused {what}: {_said(error)}",
        remedy="Compare the roles of docs/vertex.md with those of whoever runs this.",
    )


def _signed_out(what: str, error: Exception) -> PipelineError:
    return PlatformRefusedError(
        f"Vertex AI was asked {what} and does not know who asks: {_said(error)}",
        remedy="Sign in again: `gcloud auth application-default login`, or renew CI's identity.",
    )


def _unavailable(what: str, error: Exception) -> PipelineError:
    return PlatformUnavailableError(
        f"Vertex AI did not answer when asked {what}, given up after {len(PAUSES_S) + 1} attempts:"
        f" {_said(error)}",
        remedy="Try again in a few minutes.",
    )
