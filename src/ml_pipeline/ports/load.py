"""Load: requests on a schedule, and what came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ml_pipeline.ports.serving import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """Requests at a fixed rate; `bodies` are sent in turn, as JSON.

    `time_out_s` counts from the planned start of a request, at most 3600.
    """

    rate_per_s: float
    duration_s: float
    time_out_s: float
    bodies: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load run measured. Latencies count from the planned start of each request.

    Every planned request is in every figure: one that failed with the time its failure took, one
    that timed out as an error with its time-out as latency. `sent` of the planned requests were
    handed to the network before their time-out; the others are errors of the kind `not sent`.
    An answer other than 2xx is an error of the kind `http <status>`.

    `lag_p99_ms` is the generator's own doing: from the planned start of a request to its bytes
    being handed to the network. `histogram` holds microseconds, in HdrHistogram's compressed form
    in base64; percentiles are its nearest ranks (0.1 % wide), `max_ms` is exact. `timeline` has
    one row a second, `percentiles` the curve of the histogram as (share of requests 0-1, ms),
    rising. `by_slot` counts answers by the slot their `X-Model-Slot` header names: slot,
    requests, errors; requests without such an answer are in none.
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
    by_slot: Sequence[tuple[str, int, int]] = ()
    percentiles: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of a load run, by planned start; percentiles are nearest ranks."""

    second: int
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Replay(Protocol):
    """Traffic that goes on until it is stopped."""

    def stop(self) -> LoadReport:
        """Stop, wait for what is under way, and say what came back; twice is not an error.

        Works after the run was asked to stop, too; takes no longer than the plan's time-out and
        ten seconds.

        Raises:
            ChecksFailedError: the generator broke, so nothing is known.
        """


class LoadGenerator(Protocol):
    """An open-model generator: requests leave on schedule whatever the answers do."""

    def run(self, target: Target, plan: LoadPlan, *, work: Path) -> LoadReport:
        """Send the whole plan; blocks for its duration.

        Args:
            target: headers may be secret: they are written nowhere.
            plan: rate, duration and what to send.
            work: an existing folder, for the generator's own report and log.

        Raises:
            ConfigurationError: the plan or the target cannot be sent.
            PlatformUnavailableError: nothing listens there at all.
            InterruptedRunError: the run was asked to stop.
            ChecksFailedError: the generator broke before it could say anything.
            TimeLimitError: it took much longer than the plan.
        """

    def replay(self, target: Target, plan: LoadPlan, *, work: Path) -> Replay:
        """Send in the background until stopped, or until the plan's duration is over.

        Each request carries an id of its own as `X-Request-Id`. The first one has left when this
        returns. Should the caller's process die, the traffic ends with it.

        Raises:
            ConfigurationError: the plan or the target cannot be sent.
            PlatformUnavailableError: nothing listens there at all.
            InterruptedRunError: the run was asked to stop.
            ChecksFailedError: the generator broke before it could send anything.
        """
