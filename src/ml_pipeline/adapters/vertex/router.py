"""The traffic split of the production endpoint."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.client import LONGEST_CALL_S
from ml_pipeline.adapters.vertex.endpoint import Endpoint, shares_of, slots_of
from ml_pipeline.adapters.vertex.lease import ENDED, Lease, lease_of
from ml_pipeline.adapters.vertex.proxy import PredictProxy
from ml_pipeline.domain.errors import BusyError, PlatformRefusedError
from ml_pipeline.domain.traffic import RENEWED_S, checked_weights, renewal_due
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.serving import Target

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import TrafficRouter

#: How often a written split is read back, and the seconds between, before it counts as lost.
_LOOKS, _LOOK_S = 5, 0.5
#: Calls between two renewals: a change makes two and its looks, a look at the traffic twelve; and
#: two for the lease.
_CALLS = 14


class VertexRouter:
    """Speaks `ports.serving.TrafficRouter`.

    Vertex AI has nothing that returns traffic by itself when a pipeline dies. A lease that ran
    out can be taken by another run; until then it stands, for `abort` to end it.

    Args:
        endpoint: production.
        proxy: gives requests their token.
        clock: when a lease ends.
    """

    self_healing = False
    least_lease_s = _CALLS * LONGEST_CALL_S + _LOOKS * _LOOK_S + RENEWED_S

    def __init__(self, endpoint: Endpoint, proxy: PredictProxy, clock: Clock) -> None:
        self._endpoint = endpoint
        self._proxy = proxy
        self._clock = clock
        self._mine: tuple[Lease, float] | None = None

    def endpoint(self) -> Target:
        return self._proxy.target(self._endpoint.id)

    def weights(self) -> Mapping[str, int]:
        return shares_of(self._endpoint.get())

    def set_weights(self, weights: Mapping[str, int]) -> None:
        wanted = checked_weights(weights)
        found = self._endpoint.get()
        ids = self._ids(wanted, found)
        self._refuse_late(found)
        if shares_of(found) == wanted:
            return
        self._endpoint.split({ids[slot]: share for slot, share in wanted.items()})
        self._read_back(wanted)

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        checked = checked_weights(fallback)
        found = self._endpoint.get()
        self._ids(checked, found)
        dead = self._dead(run_id, found)
        if dead is not None:
            self.set_weights(dead.fallback)  # what it promised is kept first
            found = self._endpoint.get()
            self._dead(run_id, found)  # unless it lives after all
        until = self._clock.now() + timedelta(seconds=lease_s)
        self._take(found, Lease(run_id=run_id, until=until, fallback=checked), lease_s)

    def renew(self, run_id: str) -> None:
        now = self._clock.now()
        if self._mine and self._mine[0].run_id == run_id:
            lease, lease_s = self._mine
            if not renewal_due((lease.until - now).total_seconds(), lease_s):
                return  # an API call every few seconds would meet the platform's quota
        found = self._endpoint.get()
        there = lease_of(found)
        if there is None or there.run_id != run_id:
            raise PlatformRefusedError(
                f"the rollout of run {run_id} has ended: {there or 'nobody'} holds the lease now",
                remedy="Start the rollout again.",
            )
        lease_s = self._mine[1] if self._mine else self.least_lease_s
        until = now + timedelta(seconds=lease_s)
        self._take(found, Lease(run_id=run_id, until=until, fallback=there.fallback), lease_s)

    def commit(self, run_id: str) -> None:
        found = self._endpoint.get()
        there = lease_of(found)
        if found is None or there is None or there.run_id != run_id:
            raise PlatformRefusedError(
                f"run {run_id} holds no lease; {there or 'nobody'} does",
                remedy="Start the rollout again.",
            )
        self._endpoint.label(found, **ENDED)
        self._mine = None

    def rollout(self) -> str | None:
        there = lease_of(self._endpoint.get())
        return None if there is None else there.run_id

    def _dead(self, run_id: str, found: types.Endpoint | None) -> Lease | None:
        """What another run left whose lease ran out; None when there is no such."""
        there = lease_of(found)
        if there is None or there.run_id == run_id:
            return None
        if there.until > self._clock.now():
            raise BusyError(
                f"run {there.run_id} moves traffic until {there.until:%Y-%m-%d %H:%M} UTC",
                remedy="Wait for it, or end it with `ml-pipeline abort`.",
            )
        return there

    def _take(self, found: types.Endpoint | None, lease: Lease, lease_s: float) -> None:
        if found is not None:
            self._endpoint.label(found, **lease.labels())
            self._mine = (lease, lease_s)

    def _refuse_late(self, found: types.Endpoint | None) -> None:
        """A run that slept too long cannot move traffic another run moves now."""
        there = lease_of(found)
        if self._mine and there is not None and there.run_id != self._mine[0].run_id:
            raise PlatformRefusedError(
                f"run {there.run_id} holds the lease now", remedy="Start the rollout again."
            )

    def _ids(self, wanted: Mapping[str, int], found: types.Endpoint | None) -> dict[str, str]:
        there = {slot: one.id for slot, one in slots_of(found).items()}
        unknown = sorted(set(wanted) - set(there))
        if unknown:
            raise PlatformRefusedError(
                f"there is no slot {', '.join(unknown)} on {self._endpoint.name}, but"
                f" {', '.join(sorted(there)) or 'none'}",
                remedy="Deploy it first.",
            )
        return there

    def _read_back(self, wanted: Mapping[str, int]) -> None:
        """See that the platform has the shares it was asked for; a share of 0 may be left out."""
        asked = {slot: share for slot, share in wanted.items() if share}
        for look in range(_LOOKS):
            found = {slot: share for slot, share in self.weights().items() if share}
            if found == asked:
                return
            if look + 1 < _LOOKS:
                self._clock.pause(_LOOK_S)
        raise PlatformRefusedError(
            f"Vertex AI was asked for {dict(wanted)} and has {found}",
            remedy="See who else moves traffic, then run `ml-pipeline abort`.",
        )


if TYPE_CHECKING:
    _speaks: type[TrafficRouter] = VertexRouter
