"""Shares of traffic as weights of an endpoint's variants."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ml_pipeline.adapters.sagemaker import lease
from ml_pipeline.adapters.sagemaker.client import LONGEST_CALL_S
from ml_pipeline.adapters.sagemaker.endpoint import Endpoint, Seen
from ml_pipeline.adapters.sagemaker.proxy import SigningProxy
from ml_pipeline.domain.errors import BusyError, PlatformRefusedError
from ml_pipeline.domain.traffic import RENEWED_S, checked_weights, renewal_due
from ml_pipeline.ports.serving import Target

#: A change waits for the endpoint before and after; and the calls between two renewals: two for
#: each look at the endpoint, of which there are three, the change, and three for the lease.
_WAITS, _CALLS = 2, 10


class SageMakerRouter:
    """Speaks `ports.serving.TrafficRouter`.

    SageMaker does not give traffic back when a run dies. The lease is written into the
    endpoint's tags, so that `ml-pipeline abort` finds it from any machine; a run that comes
    after the lease ran out restores the fallback before it begins.
    """

    self_healing = False

    def __init__(self, endpoint: Endpoint, proxy: SigningProxy) -> None:
        self._endpoint = endpoint
        self._proxy = proxy

    @property
    def least_lease_s(self) -> float:
        return _WAITS * self._endpoint.policy.change_limit_s + _CALLS * LONGEST_CALL_S + RENEWED_S

    def endpoint(self) -> Target:
        return Target(url=self._proxy.url(self._endpoint, None))

    def weights(self) -> Mapping[str, int]:
        """Per cent by slot; slots without traffic are left out."""
        found = self._endpoint.seen()
        return {} if found is None else _shares(found)

    def set_weights(self, weights: Mapping[str, int]) -> None:
        wanted = {slot: share for slot, share in checked_weights(weights).items() if share}
        found = self._known(weights)
        if _shares(found) == wanted:
            return
        self._endpoint.weigh(wanted, found)
        after = self._endpoint.required()
        counts = {slot: one.instances for slot, one in found.variants.items()}
        if _shares(after) != wanted:
            raise PlatformRefusedError(
                f"the endpoint {self._endpoint.name} was asked for {wanted} and has"
                f" {_shares(after)} ({after.status} {after.failure})".rstrip(),
                remedy="See who else moves its traffic; `ml-pipeline abort` restores it.",
            )
        if {slot: one.instances for slot, one in after.variants.items()} != counts:
            raise PlatformRefusedError(
                f"the endpoint {self._endpoint.name} lost instances while weights were set",
                remedy="Look at it in the console; `ml-pipeline abort` restores the traffic.",
            )

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        checked = checked_weights(fallback)
        found = self._known(fallback)
        dead = self._dead(run_id, found)
        if dead is not None:
            self.set_weights(dead.fallback)  # what it promised is kept first
            self._dead(run_id, found)  # unless it lives after all
        now = self._endpoint.clock.now()
        mine = lease.Lease(run_id=run_id, until=now, lease_s=lease_s, fallback=checked)
        lease.write(self._endpoint, found, lease.renewed(mine, now))
        self._refuse_other(run_id, found)

    def renew(self, run_id: str) -> None:
        found = self._endpoint.seen()  # tags are written whatever the endpoint is doing
        if found is None:
            raise PlatformRefusedError(
                f"the endpoint {self._endpoint.name} is gone", remedy="Start a new run."
            )
        held = self._refuse_other(run_id, found)
        now = self._endpoint.clock.now()
        if renewal_due((held.until - now).total_seconds(), held.lease_s):
            lease.write(self._endpoint, found, lease.renewed(held, now))

    def commit(self, run_id: str) -> None:
        found = self._endpoint.required()
        self._refuse_other(run_id, found)
        lease.remove(self._endpoint, found)

    def rollout(self) -> str | None:
        found = self._endpoint.seen()
        held = None if found is None else lease.read(self._endpoint, found)
        return None if held is None else held.run_id

    def _dead(self, run_id: str, found: Seen) -> lease.Lease | None:
        """What another run left whose lease ran out; None when there is no such."""
        held = lease.read(self._endpoint, found)
        if held is None or held.run_id == run_id:
            return None
        if held.until > self._endpoint.clock.now():
            raise BusyError(
                f"run {held.run_id} moves traffic until {held.until.isoformat()}",
                remedy="Wait for it, or end it with `ml-pipeline abort`.",
            )
        return held

    def _refuse_other(self, run_id: str, found: Seen) -> lease.Lease:
        held = lease.read(self._endpoint, found)
        if held is None or held.run_id != run_id:
            holder = "nobody" if held is None else f"run {held.run_id}"
            raise PlatformRefusedError(
                f"the rollout of run {run_id} has ended: {holder} holds the lease now",
                remedy="Start a new run.",
            )
        return held

    def _known(self, slots: Mapping[str, int]) -> Seen:
        found = self._endpoint.required()
        unknown = sorted(set(slots) - set(found.variants))
        if unknown:
            raise PlatformRefusedError(
                f"the endpoint {self._endpoint.name} has no slot {unknown[0]}",
                remedy="Deploy it first.",
            )
        return found


def _shares(found: Seen) -> dict[str, int]:
    total = sum(one.weight for one in found.variants.values())
    if not total:
        return {}
    shares = {slot: 100 * one.weight / total for slot, one in found.variants.items()}
    return {slot: round(share) for slot, share in shares.items() if round(share)}


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import TrafficRouter

    _speaks: type[TrafficRouter] = SageMakerRouter
