"""How often AWS is asked again, and what becomes of its refusals."""

import botocore.exceptions as aws
import pytest

from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from tests.fakes.clock import FakeClock


def refusal(code: str, status: int, said: str = "no", **headers: str) -> aws.ClientError:
    told = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return aws.ClientError(
        {"Error": {"Code": code, "Message": said}, "ResponseMetadata": told}, "X"
    )


def tried(*errors: Exception) -> tuple[object, list[float]]:
    """What came of a call that ends in these errors first, and the waits in between."""
    waits, left = FakeClock(), list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    try:
        return Clients(SageMakerPolicy(), waits).tried("op", attempt), waits.paused
    except (PlatformRefusedError, PlatformUnavailableError) as error:
        return error, waits.paused


def test_a_token_that_expired_is_asked_again_with_credentials_read_anew():
    clients, used = Clients(SageMakerPolicy(), FakeClock()), []

    def attempt() -> str:
        used.append(clients.session)
        if len(used) == 1:
            raise refusal("ExpiredToken", 403)
        return "done"

    assert clients.tried("op", attempt) == "done"
    assert used[0] is not used[1]


def test_aws_is_waited_for_as_long_as_it_asks():
    busy = refusal("ThrottlingException", 429, **{"retry-after": "7"})
    assert tried(busy, busy) == ("done", [7.0, 7.0])


def test_nobody_waits_longer_than_half_a_minute_whatever_aws_asks():
    assert tried(refusal("SlowDown", 503, **{"retry-after": "9999"})) == ("done", [30.0])


@pytest.mark.parametrize(
    "error",
    [
        refusal("InternalFailure", 500),
        aws.EndpointConnectionError(endpoint_url="x"),
        aws.ConnectTimeoutError(endpoint_url="x"),
        aws.ReadTimeoutError(endpoint_url="x"),
        aws.ConnectionClosedError(endpoint_url="x"),
        aws.ResponseStreamingError(error="gone"),
        aws.IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_five_tries_are_enough(error):
    came, waits = tried(*[error] * 99)
    assert isinstance(came, PlatformUnavailableError)
    assert len(waits) == 4


def test_a_refusal_is_not_tried_again():
    for error in (
        refusal("AccessDeniedException", 403),
        refusal("ValidationException", 400),
        aws.ParamValidationError(report="x"),
    ):
        came, waits = tried(error)
        assert isinstance(came, PlatformRefusedError)
        assert waits == []


def test_expired_credentials_are_read_again_once():
    old = refusal("ExpiredTokenException", 403)
    assert tried(old) == ("done", [])
    came, _ = tried(old, old)
    assert isinstance(came, PlatformRefusedError)
    assert "credentials" in came.remedy


def test_what_is_absent_is_told_from_other_validation():
    came, _ = tried(refusal("ValidationException", 400, "Could not find endpoint x."))
    assert isinstance(came, AbsentError)
    came, _ = tried(refusal("ValidationException", 400, "1 validation error"))
    assert not isinstance(came, AbsentError)


#: IAM's sentence for a resource of another region, shortened; it is a refusal and no "none".
DENIED = "not authorized to perform it: the resource does not exist in this Region"


@pytest.mark.parametrize(
    ("code", "status"),
    [("AccessDeniedException", 403), ("AccessDeniedException", 400), ("403", 403), ("X", 401)],
)
def test_what_is_not_allowed_is_never_absent_whatever_its_words(code, status):
    came, waits = tried(refusal(code, status, DENIED))
    assert isinstance(came, PlatformRefusedError)
    assert not isinstance(came, AbsentError)
    assert "docs/sagemaker.md" in came.remedy
    assert waits == []


@pytest.mark.parametrize("code", ["ConflictException", "ResourceLimitExceeded"])
def test_words_make_only_a_validation_error_absent(code):
    came, _ = tried(refusal(code, 400, "The role of it does not exist."))
    assert not isinstance(came, AbsentError)


@pytest.mark.parametrize("code", ["ValidationException", "ValidationError"])
def test_a_validation_error_that_says_so_is_absent(code):
    came, _ = tried(refusal(code, 400, "Model package group x does not exist."))
    assert isinstance(came, AbsentError)
