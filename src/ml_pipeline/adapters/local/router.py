"""Traffic of the embedded platform."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.platform_api import PlatformApi
from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.traffic import checked_weights
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.serving import Target


class LocalRouter:
    """Speaks `ports.serving.TrafficRouter`.

    While a run holds the lease through this router, weights are only taken from it as long as
    the lease holds: a run that slept too long cannot move traffic any more.

    Args:
        state: the project's state folder.
        clock: for waits.
    """

    self_healing = True
    least_lease_s = 0.0  # what is set counts: the platform acts on it

    def __init__(self, state: Path, *, clock: Clock) -> None:
        self._api = PlatformApi(state, clock)
        self._run_id: str | None = None

    def endpoint(self) -> Target:
        return Target(url=f"{self._api.read('/v1/status')['public_url']}/invocations")

    def weights(self) -> Mapping[str, int]:
        found: dict[str, int] = self._api.read("/v1/weights")
        return found

    def set_weights(self, weights: Mapping[str, int]) -> None:
        wanted = checked_weights(weights)
        self._api.write("PUT", "/v1/weights", {"weights": wanted, "run_id": self._run_id})
        found = self.weights()
        if found != wanted:
            raise PlatformRefusedError(
                f"the platform was asked for {wanted} and has {dict(found)}",
                remedy="See who else moves traffic: ml-pipeline platform status.",
            )

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        body = {"run_id": run_id, "fallback": checked_weights(fallback), "lease_s": lease_s}
        self._api.write("POST", "/v1/lease/hold", body)
        self._run_id = run_id

    def renew(self, run_id: str) -> None:
        self._api.write("POST", "/v1/lease/renew", {"run_id": run_id})

    def commit(self, run_id: str) -> None:
        self._api.write("POST", "/v1/lease/commit", {"run_id": run_id})
        self._run_id = None

    def rollout(self) -> str | None:
        lease = self._api.read("/v1/lease")
        return str(lease["run_id"]) if lease is not None and lease["state"] == "held" else None


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import TrafficRouter

    _speaks: type[TrafficRouter] = LocalRouter
