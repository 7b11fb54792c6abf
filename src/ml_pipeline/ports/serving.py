"""Where models serve, who gets which share of the traffic, and how they do."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import ModelVersion

_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go: `url` takes `POST` with the MLflow and SageMaker convention."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A version that runs in a slot."""

    slot: str
    model: str
    version: str
    healthy: bool
    target: Target
    since: datetime


def question(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, object]:
    """The JSON body that asks a model server for one number a row.

    A label of text has no number; its position among the classes has.
    """
    return {
        "dataframe_split": {"columns": list(columns), "data": [list(row) for row in rows]},
        "params": {"output": "position"},
    }


def numbers_in(slot: str, status: int, body: bytes, *, log: str) -> Sequence[float]:
    """What a model server answered to `question`.

    Args:
        slot: who answered, for the message.
        status: of HTTP.
        body: the answer.
        log: where the slot's log is to be read.

    Raises:
        PlatformUnavailableError: it holds no predictions; says what it holds.
    """
    text = body.decode(errors="replace")
    try:
        if status == _OK:
            return [float(value) for value in json.loads(text)["predictions"]]
    except (ValueError, KeyError, TypeError) as error:
        raise PlatformUnavailableError(
            f"slot {slot} gave no predictions: {error!r}", remedy=f"Read {log}."
        ) from error
    raise PlatformUnavailableError(
        f"slot {slot} answered {status}: {text[:500]}", remedy=f"Read {log}."
    )


class ModelHost(Protocol):
    """Runs versions in slots of one endpoint (`staging` or `production`)."""

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        """Start a version in a slot, beside the others, with no traffic; waits for nothing.

        The same version in the same slot again changes nothing; another version replaces it.

        Args:
            slot: name of the deployment.
            version: what is deployed.
            package: its package folder.
            chaos: a drill for the embedded platform, such as `errors=0.2`; see `Chaos`.

        Raises:
            PlatformRefusedError: the platform said no, or it has no drills.
        """

    def health(self, slot: str) -> bool:
        """Whether the slot answers requests now; False too when there is no such slot."""

    def failure(self, slot: str) -> str:
        """Why a slot does not come up, with its last log lines; empty when it is healthy."""

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        """Predictions of one slot itself, past the router; of a label of text its position.

        Raises:
            PlatformUnavailableError: the slot does not answer.
        """

    def target(self, slot: str) -> Target:
        """Where the slot itself takes requests, past the router."""

    def remove(self, slot: str) -> None:
        """Take a slot away; not an error when it is gone.

        Raises:
            PlatformRefusedError: it still gets traffic.
        """

    def list(self) -> Sequence[Deployment]:
        """What runs on this endpoint."""


#: Waits between two looks at a deployment: a local one is up in a second, a cloud's in minutes.
_LOOK_S, _LONGEST_LOOK_S = 0.2, 10.0


def deploy_and_wait(
    host: ModelHost,
    slot: str,
    version: ModelVersion,
    package: Path,
    *,
    clock: Clock,
    time_limit_s: float,
    chaos: str = "",
) -> None:
    """Deploy a version and wait until it answers.

    Raises:
        PlatformRefusedError: it did not come up in time; says why.
    """
    host.deploy(slot, version, package, chaos=chaos)
    begun, pause_s = clock.monotonic(), _LOOK_S
    while not host.health(slot):
        if clock.monotonic() - begun > time_limit_s:
            raise PlatformRefusedError(
                f"{slot} (version {version.version}) did not answer within {time_limit_s:g} s:"
                f" {host.failure(slot)}",
                remedy="Mend what keeps it from starting, or raise 'staging.health_time_limit_s'.",
            )
        clock.check()
        clock.pause(pause_s)
        pause_s = min(pause_s * 1.2, _LONGEST_LOOK_S)


class TrafficRouter(Protocol):
    """Splits the production endpoint's traffic over its slots."""

    self_healing: bool  #: whether the platform itself returns traffic when a lease runs out

    @property
    def least_lease_s(self) -> float:
        """Seconds a lease must last so that `set_weights`, however long it takes, fits in it.

        0 where the platform itself acts on a lease, or where a lease does not run out.
        """

    def endpoint(self) -> Target:
        """Where users send their requests."""

    def weights(self) -> Mapping[str, int]:
        """Per cent by slot as the platform has them now; empty before the first deployment."""

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Set all shares at once, and read them back.

        Raises:
            ConfigurationError: they are not whole per cents that sum to 100; no call was made.
            PlatformRefusedError: an unknown slot, or the platform did not take them.
        """

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        """Begin a rollout, which no other run does until the lease ends or has run out.

        When it runs out, traffic goes to `fallback`: by itself where `self_healing`, elsewhere
        when another run begins or `abort` is called.

        Raises:
            BusyError: another run holds the lease.
        """

    def renew(self, run_id: str) -> None:
        """Renew the lease.

        Raises:
            PlatformRefusedError: another run holds it, or it ended, by itself or by `abort`.
        """

    def commit(self, run_id: str) -> None:
        """End the rollout: the weights that stand now are the new normal."""

    def rollout(self) -> str | None:
        """The run that holds the lease, None when there is none."""


def remove_idle(host: ModelHost, router: TrafficRouter, *, stay: Collection[str]) -> list[str]:
    """Take slots without traffic away, except those in `stay`; which went.

    A refused or abandoned challenger costs as much as one that serves.
    """
    weights = router.weights()
    idle = [
        one.slot for one in host.list() if one.slot not in stay and not weights.get(one.slot, 0)
    ]
    for slot in idle:
        host.remove(slot)
    return idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one slot did between two times.

    `requests` 0 is "no data", which is never healthy. `slow` and `p99_ms` are None where the
    platform does not tell them; of requests without either nobody knows how slow they were, so no
    step of a rollout is passed on them. `as_of`: until when the figures are complete; requests
    whose latency is still to come are not. `refused`: requests answered 4xx, which are not among
    `requests`; None where they are not told apart.
    """

    slot: str
    start: datetime
    end: datetime
    requests: int
    errors: int
    slow: int | None
    p99_ms: float | None
    as_of: datetime
    refused: int | None = None


class TrafficMetrics(Protocol):
    """What users of each slot saw."""

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        """Requests, errors and slow requests (at least `slow_ms`) of one slot.

        Raises:
            PlatformUnavailableError: the metrics could not be read, which is not "no data".
        """
