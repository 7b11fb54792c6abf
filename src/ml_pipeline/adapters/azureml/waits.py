"""Waits between the tries of Azure's SDK: bounded, and ended when the run is asked to stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.ports.clock import Clock

#: The longest a platform may make us wait between two tries: cleaning up waits them all.
_LONGEST_S = 60.0
#: The longest a try waits for that nobody asked to wait.
_BACKOFF_S = 8
#: azure-core's own retries honour Retry-After; these bound them to some 15 s without one.
TRIES: dict[str, Any] = {"retry_total": 4, "retry_backoff_max": _BACKOFF_S}
#: Whether the run had been asked to stop when the call began that the SDK waits in; None outside.
_CLEANING_UP: ContextVar[bool | None] = ContextVar("cleaning_up", default=None)


@contextmanager
def one_call(clock: Clock) -> Iterator[None]:
    """What happens in here is one call, however often it is tried, and what it needs for that."""
    begun = _CLEANING_UP.get()
    before = _CLEANING_UP.set(clock.stopped if begun is None else begun)
    try:
        yield
    finally:
        _CLEANING_UP.reset(before)


def check(clock: Clock) -> None:
    """See that the call under way is not to be given up.

    Raises:
        InterruptedCallError: the run was asked to stop since it began.
    """
    clock.wait_to_retry(0.0, cleaning_up=bool(_CLEANING_UP.get()))


class Transport(sdk.RequestsTransport):  # type: ignore[misc]
    """The wire, which azure-core also asks to wait: for a Retry-After it knows no limit."""

    def __init__(self, clock: Clock, **limits: Any) -> None:
        super().__init__(**limits)
        self._clock = clock

    def sleep(self, duration: float) -> None:
        """Wait, as azure-core asks its transport to."""
        self._clock.wait_to_retry(min(duration, _LONGEST_S), cleaning_up=bool(_CLEANING_UP.get()))


class BlobRetry(sdk.ExponentialRetry):  # type: ignore[misc]
    """Tries of the client for blobs, whose own wait 15 s and more, where no signal is heard.

    It hands the transport on in a wrapper that sleeps by itself.
    """

    def __init__(self, transport: Transport, factor: float) -> None:
        super().__init__(retry_total=TRIES["retry_total"])
        self._wire = transport
        self._factor = factor

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """As azure-core's own, so that all clients wait alike."""
        return float(min(self._factor * 2 ** settings["count"], _BACKOFF_S))

    def sleep(self, settings: dict[str, Any], transport: Any) -> None:  # noqa: ARG002 - the wrapper
        """Wait on the transport itself."""
        self._wire.sleep(self.get_backoff_time(settings))
