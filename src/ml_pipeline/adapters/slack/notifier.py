"""Messages to a Slack channel, by an incoming webhook.

The webhook's path is the secret: whoever has it can write to the channel. httpx logs the URL of
every request and names it in its errors, so the client only ever sees the host; the path goes
along as the request's `target`.
"""

import logging
import re
from typing import TYPE_CHECKING

import httpx
import stamina

from ml_pipeline.adapters.slack.message import message_of
from ml_pipeline.domain.errors import ConfigurationError, PlatformUnavailableError
from ml_pipeline.domain.evidence import RunRecord

if TYPE_CHECKING:
    from ml_pipeline.ports.reporting import Notifier

_ATTEMPTS = 4
_TIME_OUT_S = 10.0
#: Nobody waits longer for a message to be let through.
_LONGEST_WAIT_S = 30.0
# What a retry came to is said in our own words; a program's own hooks are left as they are.
logging.getLogger("stamina").setLevel(logging.ERROR)
_HOST = re.compile(rb"[0-9A-Za-z.:-]+")
_CHECK = "Check the webhook in ML_PIPELINE_SLACK_WEBHOOK."


class SlackNotifier:
    """Speaks `ports.reporting.Notifier`.

    Args:
        webhook_url: the secret URL; in no message, log or error of this class.
        client: sends the requests; its own is made and closed for each message otherwise.

    Raises:
        ConfigurationError: it is no web address.
    """

    def __init__(self, webhook_url: str, client: httpx.Client | None = None) -> None:
        try:
            url = httpx.URL(webhook_url)
        except httpx.InvalidURL:
            raise _no_address() from None  # its message quotes the URL
        if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host):
            raise _no_address()
        self._target = url.raw_path
        self._server = url.copy_with(raw_path=b"/", fragment=None, username=None, password=None)
        self._client = client

    def __repr__(self) -> str:
        return f"SlackNotifier({self._server.host})"

    def send(self, run: RunRecord) -> str:
        text = message_of(run)
        try:
            if self._client is not None:
                self._post(self._client, text)
            else:
                with httpx.Client(timeout=_TIME_OUT_S) as client:
                    self._post(client, text)
        except _NotNowError as error:
            raise PlatformUnavailableError(
                f"{self._server.host} took no message: {error}", remedy="Tell people by hand."
            ) from None
        except httpx.TransportError as error:
            raise PlatformUnavailableError(
                f"{self._server.host} did not confirm the message: {type(error).__name__}: {error}",
                remedy="Check the network and the webhook's host.",
            ) from error
        return f"Slack ({self._server.host})"

    def _post(self, client: httpx.Client, text: str) -> None:
        for attempt in stamina.retry_context(on=_wait_before_retry, attempts=_ATTEMPTS):
            with attempt:
                answer = client.post(
                    self._server, json={"text": text}, extensions={"target": self._target}
                )
                self._judge(answer)

    def _judge(self, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
            raise _NotNowError(answer)
        if not answer.is_success:
            # Slack answers with one word such as `no_service`; nothing else is worth showing.
            word = answer.text if answer.text.isidentifier() else "no reason given"
            raise PlatformUnavailableError(
                f"{self._server.host} refused the message: {answer.status_code} ({word})",
                remedy=_CHECK,
            )


class _NotNowError(Exception):
    """The server could not take the message now."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"it answered {answer.status_code}, several times")
        given = answer.headers.get("Retry-After", "")
        self.wait_s = float(given) if given.isdecimal() else None


def _wait_before_retry(error: Exception) -> bool | float:
    """Whether and when to send again: never what may already have been delivered.

    Source:
        docs.slack.dev, "Rate limits": 429 with `Retry-After` in seconds.
    """
    if isinstance(error, _NotNowError):
        if error.wait_s is None:
            return True
        return error.wait_s if error.wait_s <= _LONGEST_WAIT_S else False
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _no_address() -> ConfigurationError:
    return ConfigurationError("the Slack webhook is no web address", remedy=_CHECK)


if TYPE_CHECKING:
    _speaks: type[Notifier] = SlackNotifier
