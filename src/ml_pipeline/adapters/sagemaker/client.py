"""Calls of AWS: clients made late, retries that are bounded, and errors in our own words."""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

try:
    import boto3
    import botocore.exceptions as aws
    from botocore.config import Config
except ImportError as error:
    from ml_pipeline.domain.errors import ConfigurationError, installing

    raise ConfigurationError(
        f"the platform sagemaker needs a package that is not installed: {error.name}",
        remedy=installing("sagemaker"),
    ) from error

from ml_pipeline.domain.errors import (
    ConfigurationError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.clock import Clock

#: Tries of one call, and the longest wait between two, in seconds.
_TRIES, _LONGEST_S = 5, 30.0
_CONNECT_S, _READ_S = 5, 60
#: What one call takes at most, with all its tries and waits, in seconds.
LONGEST_CALL_S = _TRIES * (_CONNECT_S + _READ_S) + (_TRIES - 1) * _LONGEST_S
#: Errors of the wire: the call may be made again. `ParamValidationError` is none of them. The first
#: two are the parents of all others: time-outs, resets, names that resolve to nothing, and bodies
#: that break off; a body that is shorter than it said has a class of its own.
_WIRE = (aws.ConnectionError, aws.HTTPClientError, aws.IncompleteReadError)
_SETUP = (
    aws.NoRegionError,
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.ProfileNotFound,
    aws.InvalidConfigError,
    aws.InvalidRegionError,
)
#: Source: "Common Errors", Amazon SageMaker and Amazon S3 API references.
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_BUSY = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "RequestTimeout",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
}
_ABSENT = {"NoSuchKey", "404", "ResourceNotFound", "ResourceNotFoundException", "NoSuchBucket"}
_INVALID = {"ValidationException", "ValidationError"}


class Clients:
    """Every AWS service the adapters talk to, with one set of credentials.

    Args:
        policy: region, and the address of an emulator.
        clock: for waits between tries; they happen also after a run was asked to stop, because
            cleaning up goes through here.
    """

    def __init__(self, policy: SageMakerPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._made: dict[str, Any] = {}

    @cached_property
    def session(self) -> Any:
        """The SDK's session: region and credentials by the AWS default chain."""
        try:
            return boto3.Session(region_name=self._policy.region)
        except _SETUP as error:
            raise _wrong_setup(error) from error

    def client(self, service: str) -> Any:
        """A client of one service, such as `sagemaker`.

        Raises:
            ConfigurationError: no region, or a profile that is not there.
        """
        if service not in self._made:
            config = Config(
                retries={"total_max_attempts": 1},  # the tries are ours: they are counted once
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                s3={"addressing_style": "path"} if self._policy.endpoint_url else None,
            )
            try:
                self._made[service] = self.session.client(
                    service, endpoint_url=self._policy.endpoint_url, config=config
                )
            except _SETUP as error:
                raise _wrong_setup(error) from error
        return self._made[service]

    @property
    def region(self) -> str:
        """The region calls go to."""
        return str(self.client("sagemaker").meta.region_name)

    def call(self, service: str, operation: str, **asked: Any) -> Any:
        """Make one call; see `tried` for what becomes of errors."""
        return self.tried(operation, lambda: getattr(self.client(service), operation)(**asked))

    def tried(self, operation: str, attempt: Callable[[], Any]) -> Any:
        """Try it again while AWS is busy or the wire breaks, and once with fresh credentials.

        Raises:
            AbsentError: AWS says that what it is about is not there.
            PlatformRefusedError: AWS said no.
            PlatformUnavailableError: it did not answer, or stayed busy until the last try or
                until the run was asked to stop.
            ConfigurationError: no credentials, or no region.
        """
        renewed, cleaning_up = False, self._clock.stopped
        for left in reversed(range(_TRIES)):
            try:
                return attempt()
            except aws.ClientError as error:
                if _code(error) in _EXPIRED and not renewed:
                    renewed = True
                    self._renew()
                    continue
                if not left or not _busy(error):
                    raise _named(error, operation) from error
                wait_s = _asked_wait_s(error)
            except aws.BotoCoreError as error:
                if not left or not isinstance(error, _WIRE):
                    raise _unanswered(error, operation) from error
                wait_s = None
            wait_s = _backoff_s(_TRIES - left) if wait_s is None else wait_s
            self._clock.wait_to_retry(wait_s, cleaning_up=cleaning_up)
        raise AssertionError("the last try returns or raises")

    def pages(self, service: str, operation: str, key: str, **asked: Any) -> Iterator[Any]:
        """Every item of a list that comes in pages by `NextToken`."""
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            answer = self.call(service, operation, **asked, **more)
            yield from answer[key]
            token = answer.get("NextToken")
            if not token:
                return

    def close(self) -> None:
        """Give back the connections; the next call makes new clients."""
        while self._made:
            self._made.popitem()[1].close()

    def _renew(self) -> None:
        """Read the credentials again: files and roles may hold newer ones by now."""
        self.__dict__.pop("session", None)
        self.close()


class AbsentError(PlatformRefusedError):
    """What a call is about is not there; callers often mean "none" by it."""


def _code(error: aws.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: aws.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _busy(error: aws.ClientError) -> bool:
    return _code(error) in _BUSY or _status(error) == 429 or _status(error) >= 500


def _asked_wait_s(error: aws.ClientError) -> float | None:
    """Seconds AWS asks to wait, None when it asks for none; a date is read as none."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return min(max(0.0, float(headers["retry-after"])), _LONGEST_S)
    except (KeyError, ValueError):
        return None


def _named(error: aws.ClientError, operation: str) -> PipelineError:
    said = error.response.get("Error", {}).get("Message", "") or "no reason given"
    told = f"AWS refused {operation}: {_code(error)}: {said}"
    if _busy(error):
        return PlatformUnavailableError(
            f"AWS could not do {operation} in {_TRIES} tries: {_code(error)}: {said}",
            remedy="Try again later; AWS Health may say more.",
        )
    if _code(error) in _EXPIRED:
        return PlatformRefusedError(
            told, remedy="Get fresh credentials, then `ml-pipeline resume`."
        )
    # before anything that could read it as "none": IAM's own sentences speak of what is not there
    if _status(error) in {401, 403} or "AccessDenied" in _code(error):
        return PlatformRefusedError(
            told, remedy="Allow it in the role's policy: docs/sagemaker.md lists every action."
        )
    if _code(error) in _ABSENT or _status(error) == 404 or _says_absent(error):
        return AbsentError(told, remedy="Check the name, the region and the account.")
    return PlatformRefusedError(told, remedy="Correct what it names and run again.")


def _says_absent(error: aws.ClientError) -> bool:
    """SageMaker has no code of its own for what is not there: a validation error says so."""
    if _code(error) not in _INVALID:
        return False
    low = str(error.response["Error"].get("Message", "")).lower()
    return any(
        words in low for words in ("could not find", "not found", "does not exist", "not exist")
    )


def _backoff_s(tries: int) -> float:
    # full jitter, so that many pipelines do not come back at the same moment
    return random.uniform(0, min(0.2 * 4**tries, 5.0))  # noqa: S311


def _unanswered(error: Exception, operation: str) -> PipelineError:
    if isinstance(error, _SETUP):
        return _wrong_setup(error)
    if isinstance(error, _WIRE):
        return PlatformUnavailableError(
            f"AWS did not answer {operation} in {_TRIES} tries; is its address right, and it up?"
            f" {error}",
            remedy="Check the network and 'sagemaker.region', then try again.",
        )
    return PlatformRefusedError(
        f"the call {operation} could not be made: {error}",
        remedy="Correct the value it names.",
    )


def _wrong_setup(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"AWS cannot be called: {error}",
        remedy="Set 'sagemaker.region', and give credentials by environment, profile or role.",
    )


def utc(moment: dt.datetime) -> dt.datetime:
    """A time of AWS, with UTC as its zone."""
    return moment.astimezone(dt.UTC)
