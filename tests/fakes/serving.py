"""One platform that serves, in memory; its endpoint is a real HTTP server on loopback."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ml_pipeline.domain.errors import (
    BusyError,
    PlatformRefusedError,
)
from ml_pipeline.domain.traffic import checked_weights
from ml_pipeline.ports.serving import Deployment, Target, Window
from tests.fakes.http_server import Answer, Asked, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ml_pipeline.ports.clock import Clock
    from ml_pipeline.ports.registry import ModelVersion


@dataclass
class Served:
    """What the platform knows, whichever machine asks."""

    slots: dict[tuple[str, str], ModelVersion] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    holder: str | None = None
    counted: int = 0
    dismantled: bool = False

    @cached_property
    def server(self) -> ScriptedServer:
        """The public endpoint."""
        return ScriptedServer(self._answer)

    def _answer(self, asked: Asked) -> Answer:
        self.counted += 1
        rows = json.loads(asked.body)["dataframe_split"]["data"]
        return Answer(body=json.dumps({"predictions": line(rows)}).encode())


def line(rows: Sequence[Sequence[float]]) -> list[float]:
    """What the kit's own model predicts."""
    return [2 * a + 3 * b + 1 for a, b in rows]


@dataclass
class FakeHost:
    """Speaks `ports.serving.ModelHost`."""

    served: Served
    endpoint: str
    clock: Clock

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        self.served.slots[self.endpoint, slot] = version

    def health(self, slot: str) -> bool:
        return (self.endpoint, slot) in self.served.slots

    def failure(self, slot: str) -> str:
        return "" if self.health(slot) else f"there is no {slot}"

    def predict(self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[float]]):
        return line(rows)

    def target(self, slot: str) -> Target:
        return Target(url=self.served.server.url)

    def remove(self, slot: str) -> None:
        if self.endpoint == "production" and self.served.weights.get(slot):
            raise PlatformRefusedError(f"{slot} gets traffic", remedy="Shift it first.")
        self.served.slots.pop((self.endpoint, slot), None)

    def list(self) -> Sequence[Deployment]:
        return [
            Deployment(
                slot=slot, model=one.model, version=one.version, healthy=True,
                target=self.target(slot), since=self.clock.now(),
            )
            for (endpoint, slot), one in self.served.slots.items() if endpoint == self.endpoint
        ]  # fmt: skip


@dataclass
class FakeRouter:
    """Speaks `ports.serving.TrafficRouter`."""

    served: Served
    self_healing: bool = False
    least_lease_s: float = 0.0

    def endpoint(self) -> Target:
        return Target(url=self.served.server.url)

    def weights(self) -> Mapping[str, int]:
        return dict(self.served.weights)

    def set_weights(self, weights: Mapping[str, int]) -> None:
        given = checked_weights(weights)
        if unknown := [one for one in given if ("production", one) not in self.served.slots]:
            raise PlatformRefusedError(f"there is no {unknown}", remedy="Deploy it.")
        self.served.weights = dict(given)

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        if self.served.holder not in {None, run_id}:
            raise BusyError(f"run {self.served.holder} holds it", remedy="Wait.")
        self.served.holder = run_id

    def renew(self, run_id: str) -> None:
        if self.served.holder != run_id:
            raise PlatformRefusedError("the lease is not yours", remedy="Hold it.")

    def commit(self, run_id: str) -> None:
        self.renew(run_id)
        self.served.holder = None

    def rollout(self) -> str | None:
        return self.served.holder


@dataclass
class FakeTraffic:
    """Speaks `ports.serving.TrafficMetrics`."""

    served: Served

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        return Window(
            slot=slot, start=start, end=end, requests=self.served.counted, errors=0, slow=0,
            p99_ms=None, as_of=end,
        )  # fmt: skip
