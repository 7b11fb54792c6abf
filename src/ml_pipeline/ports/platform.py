"""Everything one platform offers, made when it is first asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import ModelRegistry, ModelVersion
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.training import ArtifactStore, TrainingPlatform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOrder:
    """What every platform's adapters are made from, besides their own section of the settings.

    `model` is the project's name on the platform too, `state` its folder on this machine, and
    `trusted_types` are the skops types its models may hold besides skops' own list.
    """

    model: str
    state: Path
    clock: Clock
    environ: Mapping[str, str]
    trusted_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Something on a platform that costs money as long as it is there.

    Args:
        kind: what it is, such as `endpoint` or `training job`.
        name: as the platform names it.
        since: when it was made.
        what: size and number, such as `1 x ml.m5.large`; no price, which the vendor sets.
    """

    kind: str
    name: str
    since: datetime
    what: str


class Costs(Protocol):
    """What this project leaves running on a platform."""

    def standing(self) -> Sequence[Standing]:
        """Everything of the project that runs now, oldest first.

        Raises:
            PlatformUnavailableError: the platform did not answer.
        """


class PlatformParts(Protocol):
    """One platform's adapters. Each is made, and its module imported, on first use."""

    @property
    def training(self) -> TrainingPlatform:
        """Where training runs."""

    @property
    def artifacts(self) -> ArtifactStore:
        """Where training leaves models."""

    @property
    def registry(self) -> ModelRegistry:
        """Versions and the champion."""

    @property
    def staging_host(self) -> ModelHost:
        """The staging endpoint."""

    @property
    def production_host(self) -> ModelHost:
        """The production endpoint."""

    @property
    def router(self) -> TrafficRouter:
        """Who gets which share of production's traffic."""

    @property
    def traffic(self) -> TrafficMetrics:
        """What users of each slot saw."""

    @property
    def champion_hint(self) -> Callable[[], ModelVersion | None]:
        """The champion as last written, without asking the registry where that is enough."""

    @property
    def costs(self) -> Costs:
        """What is left running."""

    def dismantle(self) -> None:
        """Take both endpoints of this model away, whatever traffic they have.

        For checks, and for a model that is given up; never part of a release.
        """

    def close(self) -> None:
        """Give back this machine's connections and addresses; the platform stays as it is.

        Addresses that were handed out answer no more. Whoever asks again opens anew.
        """
