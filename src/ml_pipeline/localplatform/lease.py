"""The lease of a rollout: who moves traffic now, and what stands when nobody does any more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from ml_pipeline.domain.errors import BusyError, PlatformRefusedError


class LeaseState(StrEnum):
    """A lease is held until it is committed or runs out; both are final."""

    HELD = "held"
    COMMITTED = "committed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The last lease of a platform, ended or not.

    `deadline_s` is wall-clock time (seconds since 1970): it must hold across restarts.
    """

    run_id: str
    fallback: Mapping[str, int]
    lease_s: float
    deadline_s: float
    state: LeaseState = LeaseState.HELD

    def held(self) -> bool:
        """Whether it has neither been committed nor been found run out."""
        return self.state is LeaseState.HELD

    def due(self, now_s: float) -> bool:
        """Whether it has to be ended now because nobody renewed it."""
        return self.held() and now_s >= self.deadline_s

    def renewed(self, run_id: str, now_s: float) -> "Lease":
        """The lease with a new deadline.

        Raises:
            PlatformRefusedError: it ran out or was committed, or another run holds it.
        """
        self._owned(run_id, now_s)
        return replace(self, deadline_s=now_s + self.lease_s)

    def committed(self, run_id: str, now_s: float) -> "Lease":
        """The lease ended with the weights that stand; twice is not an error.

        Raises:
            PlatformRefusedError: it ran out before, or another run holds it.
        """
        if self.state is LeaseState.COMMITTED and self.run_id == run_id:
            return self
        self._owned(run_id, now_s)
        return replace(self, state=LeaseState.COMMITTED)

    def expired(self) -> "Lease":
        """The lease found run out."""
        return replace(self, state=LeaseState.EXPIRED)

    def _owned(self, run_id: str, now_s: float) -> None:
        if self.run_id != run_id:
            raise PlatformRefusedError(
                f"run {run_id} holds no lease; the last one was of run {self.run_id}",
                remedy="Start the rollout again.",
            )
        if self.state is not LeaseState.HELD or self.due(now_s):
            gone = "was committed" if self.state is LeaseState.COMMITTED else "ran out"
            raise PlatformRefusedError(
                f"the lease of run {run_id} {gone}",
                remedy="Look at the weights that stand now, then start the rollout again.",
            )


def take(last: Lease | None, wanted: Lease, now_s: float) -> Lease:
    """The lease a run asked for; a run that holds it already begins it anew.

    Raises:
        BusyError: another run holds it.
    """
    if last is not None and last.held() and not last.due(now_s) and last.run_id != wanted.run_id:
        raise BusyError(
            f"run {last.run_id} is moving traffic and holds the lease for another "
            f"{last.deadline_s - now_s:.0f} s",
            remedy=f"Wait for run {last.run_id}, or abort it.",
        )
    return wanted
