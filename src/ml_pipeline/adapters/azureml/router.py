"""Shares of an online endpoint's traffic, and whose rollout it is, in the endpoint itself."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml.endpoint import Endpoint, deployment_of, shares
from ml_pipeline.adapters.azureml.proxy import KeyProxy
from ml_pipeline.domain.errors import BusyError, PlatformRefusedError
from ml_pipeline.domain.traffic import checked_weights
from ml_pipeline.ports.serving import Target

if TYPE_CHECKING:
    from ml_pipeline.ports.serving import TrafficRouter

HOLDER, FALLBACK = "ml-pipeline.rollout", "ml-pipeline.fallback"


class AzuremlRouter:
    """Speaks `ports.serving.TrafficRouter`.

    The lease is two tags of the endpoint, so that `abort` on another machine finds it. It does
    not run out: nothing in Azure would act on that, and a rollout left half way must be put
    right by `abort`, not built upon.

    Args:
        endpoint: the production endpoint.
        proxy: adds the endpoint's key to requests.
    """

    self_healing = False
    least_lease_s = 0.0  # it does not run out

    def __init__(self, endpoint: Endpoint, proxy: KeyProxy) -> None:
        self._endpoint = endpoint
        self._proxy = proxy

    def endpoint(self) -> Target:
        return self._proxy.target(self._endpoint, None)

    def weights(self) -> Mapping[str, int]:
        found = self._endpoint.find()
        return {} if found is None else shares(found.traffic)

    def set_weights(self, weights: Mapping[str, int]) -> None:
        wanted = {slot: share for slot, share in checked_weights(weights).items() if share}
        self._refuse_unknown(weights)
        traffic = {deployment_of(slot): share for slot, share in wanted.items()}

        def edit(found: Any) -> None:
            found.traffic = traffic

        self._endpoint.change(f"to set the traffic of {self._endpoint.name}", edit)
        found = self.weights()
        if found != wanted:
            raise PlatformRefusedError(
                f"endpoint {self._endpoint.name} was asked for {wanted} and has {dict(found)}",
                remedy="See in the studio who else moves traffic.",
            )

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:  # noqa: ARG002 - it does not run out
        kept = checked_weights(fallback)
        self._refuse_unknown(kept)
        holder = self.rollout()
        if holder not in {None, run_id}:
            raise BusyError(
                f"run {holder} is moving the traffic of {self._endpoint.name}",
                remedy=f"Wait for it, or end it: ml-pipeline abort {holder}.",
            )
        self._tag({HOLDER: run_id, FALLBACK: json.dumps(kept)})
        self.renew(run_id)

    def renew(self, run_id: str) -> None:
        holder = self.rollout()
        if holder != run_id:
            raise PlatformRefusedError(
                f"the rollout of {self._endpoint.name} is held by {holder or 'nobody'},"
                f" not by run {run_id}",
                remedy="Start a new run.",
            )

    def commit(self, run_id: str) -> None:
        self.renew(run_id)
        self._tag({HOLDER: None, FALLBACK: None})

    def rollout(self) -> str | None:
        found = self._endpoint.find()
        return None if found is None else found.tags.get(HOLDER)

    def _tag(self, tags: Mapping[str, str | None]) -> None:
        def edit(found: Any) -> None:
            merged = {**found.tags, **tags}
            found.tags = {key: value for key, value in merged.items() if value is not None}

        self._endpoint.change(f"to tag {self._endpoint.name}", edit)

    def _refuse_unknown(self, weights: Mapping[str, int]) -> None:
        there = {one.name for one in self._endpoint.deployments()}
        for slot in weights:
            if deployment_of(slot) not in there:
                raise PlatformRefusedError(
                    f"there is no slot {slot} on {self._endpoint.name}", remedy="Deploy it first."
                )


if TYPE_CHECKING:
    _speaks: type[TrafficRouter] = AzuremlRouter
