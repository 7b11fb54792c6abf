"""How long a training is waited for."""

from ml_pipeline.domain.errors import TimeLimitError
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.training import JobRef, JobState


class Patience:
    """One job's time: its limit, and on top of it what it may wait for spot capacity.

    Waiting counts as such only while the platform says so, and only as long as it may: a job that
    got its machine at once has no more time than any other.

    Args:
        limit_s: seconds a training may take.
        spot_wait_s: seconds it may be queued besides, 0 where nothing is waited for.
    """

    def __init__(self, clock: Clock, *, limit_s: float, spot_wait_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._spot_wait_s = spot_wait_s
        self._begun = self._looked = clock.monotonic()
        self._queued_s = 0.0

    def saw(self, state: JobState | None) -> None:
        """The time since the last look was spent in this state; None when no look succeeded."""
        now = self._clock.monotonic()
        if state is JobState.QUEUED:
            self._queued_s += now - self._looked
        self._looked = now

    def require(self, job: JobRef) -> None:
        """Go on waiting.

        Raises:
            TimeLimitError: the job has had its time.
        """
        taken_s = self._clock.monotonic() - self._begun
        if taken_s - min(self._queued_s, self._spot_wait_s) <= self._limit_s:
            return
        waiting = f" and {self._spot_wait_s:g} s of waiting" if self._spot_wait_s else ""
        raise TimeLimitError(
            f"training job {job.name} ran longer than train.time_limit_s = {self._limit_s:g} s"
            f"{waiting}, {self._queued_s:.0f} s of it queued; it was cancelled",
            remedy="Raise 'train.time_limit_s', or find out why the training hangs.",
        )
