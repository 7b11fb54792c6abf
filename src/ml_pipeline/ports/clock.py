"""Time, and waiting that can be interrupted."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only way to know the time and to wait."""

    @property
    def stopped(self) -> bool:
        """Whether the run was asked to stop."""

    def now(self) -> datetime:
        """The wall clock, in UTC, with its time zone."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything. Never scaled."""

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` of the project's time (the profile `test` shortens it).

        Raises:
            InterruptedRunError: the run was asked to stop, before or during the wait.
        """

    def check(self) -> None:
        """Raise when the run was asked to stop; to be called between steps of long work.

        Raises:
            InterruptedRunError: the run was asked to stop.
        """

    def pause(self, seconds: float) -> None:
        """Wait real `seconds` although the run was asked to stop: for cleaning up behind it."""

    def wait_to_retry(self, seconds: float, *, cleaning_up: bool) -> None:
        """Wait real `seconds` between two tries of a call.

        Args:
            seconds: as long as the platform asks for.
            cleaning_up: `stopped` when the call began. Such a call is not given up: nothing
                could be cleaned up on a platform that asks to wait.

        Raises:
            InterruptedCallError: the run was asked to stop since the call began.
        """
