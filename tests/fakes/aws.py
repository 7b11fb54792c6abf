"""AWS as the SageMaker adapters call it, answered by functions of a test."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import botocore.exceptions as aws

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from tests.fakes.clock import FakeClock

POLICY = SageMakerPolicy(
    region="us-east-1",
    role="arn:aws:iam::123456789012:role/pipeline",
    bucket="shop-models",
    image="123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256:" + "0" * 64,
    metrics_delay_s=0,
)


class Aws(Clients):
    """Every service at once: an operation by its name; `asked` lists what was called with what.

    Tries, paging and what becomes of errors are the adapter's own.
    """

    def __init__(self, **operations: Callable[..., Any]) -> None:
        super().__init__(POLICY, FakeClock())
        self.clock: FakeClock = self._clock
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._all = SimpleNamespace(meta=SimpleNamespace(region_name="us-east-1"))
        self.answer(**operations)

    def answer(self, **operations: Callable[..., Any]) -> None:
        """From now on these operations are answered so."""
        for name, answer in operations.items():
            setattr(self._all, name, self._noted(name, answer))

    def client(self, service: str) -> Any:
        return self._all

    def of(self, operation: str) -> list[dict[str, Any]]:
        """What an operation was called with."""
        return [asked for name, asked in self.asked if name == operation]

    def _noted(self, name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def call(**asked: Any) -> Any:
            self.asked.append((name, asked))
            return answer(**asked)

        return call


def refused(code: str, said: str = "no", status: int = 400) -> aws.ClientError:
    """An error as botocore makes it of an answer."""
    told = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return aws.ClientError(
        {"Error": {"Code": code, "Message": said}, "ResponseMetadata": told}, "X"
    )


class Streamed:
    """A body of S3 that breaks off as often as it is told to, after its first block."""

    def __init__(self, content: bytes, breaks: list[Exception]) -> None:
        self._content = content
        self._breaks = breaks

    def iter_chunks(self, _size: int) -> Iterator[bytes]:
        half = len(self._content) // 2
        yield self._content[:half]
        if self._breaks:
            raise self._breaks.pop(0)
        yield self._content[half:]
