"""Load: requests on a schedule, and what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ml_pipeline.ports.serving import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Requests at a fixed rate; `bodies` are sent in turn, as JSON."""

    rate_per_s: float
    duration_s: float
    time_out_s: float
    bodies: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load run measured. Latencies count from the planned start of each request.

    `histogram` is HdrHistogram's compressed form in base64; `timeline` has one row a second.
    A request that timed out counts as an error with its time-out as latency.
    """

    planned: int
    sent: int
    errors: int
    duration_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    lag_p99_ms: float
    histogram: str
    timeline: Sequence["Second"]
    errors_by_kind: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of a load run, by planned start."""

    second: int
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Replay(Protocol):
    """Traffic that goes on until it is stopped."""

    def stop(self) -> LoadReport:
        """Stop, wait for what is under way, and say what came back; twice is not an error."""


class LoadGenerator(Protocol):
    """An open-model generator: requests leave on schedule whatever the answers do."""

    def run(self, target: Target, plan: LoadPlan, *, work: Path) -> LoadReport:
        """Send the whole plan; blocks for its duration.

        Raises:
            PlatformUnavailableError: nothing listens there at all.
            InterruptedRunError: the run was asked to stop.
        """

    def replay(self, target: Target, plan: LoadPlan, *, work: Path) -> Replay:
        """Send in the background, each request with an id of its own, until stopped."""
