"""This machine's clock, and waits that can be ended from another thread."""

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import (
    ConfigurationError,
    InterruptedCallError,
    InterruptedRunError,
)

if TYPE_CHECKING:
    from ml_pipeline.ports.clock import Clock


class HostClock:
    """Speaks `ports.clock.Clock`.

    Args:
        scale: how many of the project's seconds pass in one of the host's; 1 is real time, and
            the profile `test` waits a tenth as long with 10. Greater than 0.

    Raises:
        ConfigurationError: the scale is not a finite number greater than 0.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not 0 < scale < float("inf"):
            raise ConfigurationError(
                f"a clock cannot run {scale!r} times as fast",
                remedy="Set the clock's scale to a finite number greater than 0.",
            )
        self._scale = scale
        # Not an Event: its lock is held for a moment by every waiter, and a signal handler that
        # sets it in that moment waits for itself. SimpleQueue.put is documented as reentrant.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._stopped = False
        self._reason = ""

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self, reason: str) -> None:
        """End every wait, in every thread, now and from now on; the first reason stands.

        Safe in a signal handler.
        """
        if not self._stopped:
            self._reason = reason
            self._stopped = True
        self._wake.put(None)

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.check()
        self._rest(seconds / self._scale)
        self.check()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: TID251 - this is the clock

    def wait_to_retry(self, seconds: float, *, cleaning_up: bool) -> None:
        if cleaning_up:
            self.pause(seconds)
            return
        self._rest(seconds)
        if self._stopped:
            raise InterruptedCallError(
                f"the run was asked to stop before a call could be tried again: {self._reason}",
                remedy="Continue with `ml-pipeline resume`, or end it with `ml-pipeline abort`.",
            )

    def _rest(self, seconds: float) -> None:
        """Wait, until the run is asked to stop at the latest."""
        with suppress(Empty):
            self._wake.get(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))
            self._wake.put(None)  # for the next thread that waits

    def check(self) -> None:
        if self._stopped:
            raise InterruptedRunError(
                f"the run was asked to stop: {self._reason}",
                remedy="Continue with `ml-pipeline resume`, or end it with `ml-pipeline abort`.",
            )


if TYPE_CHECKING:
    _speaks: type[Clock] = HostClock
