"""Deployments on the embedded platform."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from ml_pipeline.adapters.local.platform_api import PlatformApi, loopback_client
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.serving import Deployment, Target, numbers_in, question

#: How long a model server itself may take, in seconds.
_SLOT_LIMIT_S = 30.0


class LocalHost:
    """Speaks `ports.serving.ModelHost`.

    Args:
        state: the project's state folder.
        endpoint: `staging` or `production`.
        clock: for waits.
        trusted_types: skops types its models may hold besides skops' own list.
    """

    def __init__(
        self, state: Path, *, endpoint: str, clock: Clock, trusted_types: Sequence[str] = ()
    ) -> None:
        self._api = PlatformApi(state, clock)
        self._trusted_types = list(trusted_types)
        self._path = f"/v1/deployments/{endpoint}"
        self._slots = loopback_client(_SLOT_LIMIT_S)

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        body = {
            "model": version.model,
            "version": version.version,
            "digest": version.digest,
            "package": str(package.resolve()),
            "chaos": chaos,
            "trusted_types": self._trusted_types,
        }
        self._api.write("PUT", f"{self._path}/{slot}", body)

    def health(self, slot: str) -> bool:
        found = self._find(slot)
        if found is None or not found["healthy"]:
            return False
        try:
            url = str(found["url"]).removesuffix("/invocations")
            return self._slots.get(f"{url}/ping").status_code == 200
        except httpx.HTTPError:
            return False

    def failure(self, slot: str) -> str:
        found = self._find(slot)
        if found is None:
            return f"there is no slot {slot}"
        if found["healthy"]:
            return ""
        return "\n".join([f"{found['state']}: {found['reason'] or 'no answer yet'}", *found["log"]])

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        url = self.target(slot).url
        try:
            answer = self._slots.post(url, json=question(columns, rows))
        except httpx.HTTPError as exc:
            raise PlatformUnavailableError(
                f"slot {slot} gave no predictions: {exc!r}", remedy="Read the slot's log."
            ) from exc
        return numbers_in(slot, answer.status_code, answer.content, log="the slot's log")

    def target(self, slot: str) -> Target:
        """Where the slot itself takes requests, past the router.

        Raises:
            PlatformRefusedError: there is no such slot.
            PlatformUnavailableError: it is not up, so it has no address.
        """
        found = self._find(slot)
        if found is None:
            raise PlatformRefusedError(f"there is no slot {slot}", remedy="Deploy it first.")
        if not found["url"]:
            raise PlatformUnavailableError(
                f"slot {slot} is {found['state']}", remedy="Wait until it is healthy."
            )
        return Target(url=str(found["url"]))

    def remove(self, slot: str) -> None:
        self._api.write("DELETE", f"{self._path}/{slot}")

    def list(self) -> Sequence[Deployment]:
        """What runs on this endpoint; a deployment that is not up has an empty URL."""
        return [_deployment(found) for found in self._api.read(self._path)]

    def _find(self, slot: str) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._api.read(f"{self._path}/{slot}")
        return found


def _deployment(found: Mapping[str, Any]) -> Deployment:
    return Deployment(
        slot=found["slot"],
        model=found["model"],
        version=found["version"],
        healthy=found["healthy"],
        target=Target(url=found["url"]),
        since=datetime.fromisoformat(found["since"]),
    )


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import ModelHost

    _speaks: type[ModelHost] = LocalHost
