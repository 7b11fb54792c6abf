"""A clock that passes time only when somebody waits."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import InterruptedCallError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml_pipeline.ports.clock import Clock


class FakeClock:
    """Speaks `ports.clock.Clock`; `sleep` returns at once and moves the time.

    `slept` lists every wait, `paused` those that no stop ends. `on_sleep` is called after each of
    the first with the seconds waited, so that a test can make the world change meanwhile.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._passed_s = 0.0
        self._reason: str | None = None
        self._stop_after: int | None = None
        self.slept: list[float] = []
        self.paused: list[float] = []
        self.on_sleep: Callable[[float], None] | None = None

    @property
    def stopped(self) -> bool:
        return self._reason is not None

    def advance(self, seconds: float) -> None:
        """Time passes without anybody waiting."""
        self._passed_s += seconds

    def stop(self, reason: str) -> None:
        """Every wait and check from now on raises."""
        self._reason = self._reason or reason

    def stop_after(self, sleeps: int) -> None:
        """The run is asked to stop during the wait after `sleeps` more whole ones."""
        self._stop_after = len(self.slept) + sleeps

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        self.check()
        if self._stop_after is not None and len(self.slept) >= self._stop_after:
            self.stop("the test said so")
        self.check()
        self.slept.append(seconds)
        self.advance(max(0.0, seconds))
        if self.on_sleep is not None:
            self.on_sleep(seconds)
        self.check()

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.advance(seconds)

    def wait_to_retry(self, seconds: float, *, cleaning_up: bool) -> None:
        if self.stopped and not cleaning_up:
            raise InterruptedCallError("the run was asked to stop", remedy="Continue it.")
        self.pause(seconds)

    def check(self) -> None:
        if self._reason is not None:
            raise InterruptedRunError(
                f"the run was asked to stop: {self._reason}", remedy="Continue with `resume`."
            )


if TYPE_CHECKING:
    _speaks: type[Clock] = FakeClock
