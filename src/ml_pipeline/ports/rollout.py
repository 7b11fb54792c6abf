"""The traffic of a rollout, under a lease that is kept alive."""

from collections.abc import Mapping
from dataclasses import dataclass

from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.serving import TrafficRouter


@dataclass(frozen=True, slots=True)
class HeldTraffic:
    """Traffic that one run moves, and no other run meanwhile.

    Where the platform returns to the champion by itself, that is what a lease is for: it is as
    long as asked for. Elsewhere a lease only tells other runs that this one lives, so it
    outlives the longest wait between two renewals and is renewed before and after each change.
    """

    router: TrafficRouter
    run_id: str

    def hold(self, fallback: Mapping[str, int], *, lease_s: float, poll_s: float) -> None:
        """Begin.

        Args:
            fallback: per cent by slot that stand when the lease is lost.
            lease_s: seconds without a renewal after which the run counts as dead.
            poll_s: seconds between two renewals while nothing changes.

        Raises:
            BusyError: another run moves the traffic.
        """
        if not self.router.self_healing:
            lease_s = max(lease_s, self.router.least_lease_s + poll_s)
        self.router.hold(self.run_id, fallback=fallback, lease_s=lease_s)

    def renew(self) -> None:
        """Say that this run lives.

        Raises:
            PlatformRefusedError: the traffic is not this run's to move any more.
        """
        try:
            self.router.renew(self.run_id)
        except PlatformRefusedError as error:
            if self.ours():
                raise
            raise PlatformRefusedError(
                f"the lease of this rollout is lost, and traffic is left as it is: {error}",
                remedy="See with `ml-pipeline status` who moved traffic, and start a new run.",
            ) from error

    def keep(self) -> None:
        """Renew where nothing but other runs watches the lease: before and after long waits.

        Raises:
            PlatformRefusedError: the traffic is not this run's to move any more.
        """
        if not self.router.self_healing:
            self.renew()

    def shift(self, weights: Mapping[str, int]) -> None:
        """Set all shares; a cloud may take an hour for that.

        Raises:
            PlatformRefusedError: the platform said no, or the lease is lost.
        """
        self.keep()
        self.router.set_weights(weights)
        self.keep()

    def ours(self) -> bool:
        """Whether nobody else moves the traffic, as far as can be known.

        A platform that returns by itself refuses weights of a run that lost its lease.
        """
        if self.router.self_healing:
            return True
        try:
            return self.router.rollout() == self.run_id
        except (PlatformRefusedError, PlatformUnavailableError):
            return True  # unreadable: the champion's return is tried rather than given up

    def give_back(self, fallback: Mapping[str, int]) -> None:
        """Give traffic back, and end the lease where there still is one.

        Raises:
            PlatformRefusedError: the platform said no, or the lease is lost.
        """
        try:
            self.keep()
        except (PlatformRefusedError, PlatformUnavailableError):
            if not self.ours():
                raise
            # a renewal that fails for another reason is not in the champion's way
        self.router.set_weights(fallback)
        if self.router.rollout() == self.run_id:
            self.router.commit(self.run_id)
