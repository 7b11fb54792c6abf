"""What came back, counted as it comes."""

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from ml_pipeline.ports.load import LoadReport, Second

NOT_SENT = "not sent"
TIMED_OUT = "timed out"

#: 1 µs to one hour, three significant digits: 185 kB, 1.8 µs to record one value.
_LONGEST_S = 3600.0
_DIGITS = 3
#: The shares of requests a latency curve is drawn through, up to the last one.
_CURVE = (*(step / 50 for step in range(46)), *(1 - 10**-exponent for exponent in (1, 2, 3, 4, 5)))


class Latencies:
    """A histogram of latencies, with an exact maximum."""

    def __init__(self) -> None:
        self._histogram: Any = HdrHistogram(1, int(_LONGEST_S * 1e6), _DIGITS)
        self._max_s = 0.0

    def record(self, latency_s: float) -> None:
        """Count one latency; below 1 µs counts as 1 µs, beyond an hour as an hour."""
        micros = round(min(latency_s, _LONGEST_S) * 1e6)
        self._histogram.record_value(max(1, micros))
        self._max_s = max(self._max_s, latency_s)

    def quantiles_ms(self, *quantiles: float) -> tuple[float, ...]:
        """Milliseconds that each share of what was counted stayed within: nearest rank.

        Never beyond the true maximum, although a histogram's last bucket may reach beyond it.
        """
        counts, values_ms = self._cumulated()
        ranks = (nearest_rank(counts[-1], quantile) for quantile in quantiles)
        return tuple(min(values_ms[bisect_left(counts, rank)], self.max_ms) for rank in ranks)

    def _cumulated(self) -> tuple[list[int], list[float]]:
        """How many stayed within each recorded value.

        Not by hdrh's own `get_value_at_percentile`, which rounds the rank, so that the p99 of 60
        is the 59th; nor by its iterator, which takes 15 times as long.
        """
        one, total = self._histogram, 0
        counts, values_ms = [], []
        for index in range(one.counts_len):
            count = one.get_count_at_index(index)
            if count:
                total += count
                counts.append(total)
                lowest = one.get_value_from_index(index)
                values_ms.append(one.get_highest_equivalent_value(lowest) / 1e3)
        return counts, values_ms

    @property
    def max_ms(self) -> float:
        """The longest, exactly."""
        return self._max_s * 1e3

    def curve(self) -> tuple[tuple[float, float], ...]:
        """(share, ms), rising, as far as there are enough requests to tell; ends with (1, max)."""
        total = int(self._histogram.get_total_count())
        told = [share for share in sorted(set(_CURVE)) if (1 - share) * total >= 1]
        return (*zip(told, self.quantiles_ms(*told), strict=True), (1.0, self.max_ms))

    def encoded(self) -> str:
        """HdrHistogram's compressed form in base64."""
        return bytes(self._histogram.encode()).decode("ascii")


def nearest_rank(count: int, quantile: float) -> int:
    """Which of `count` sorted values a share `quantile` of them stays within, counted from 1.

    Source:
        Hyndman & Fan (1996), The American Statistician 50(4), 361-365: definition 1.

    >>> nearest_rank(4, 0.5), nearest_rank(60, 0.99)
    (2, 60)
    """
    # A product such as 0.07 * 100 = 7.000000000000001 must not become the next rank
    return max(1, math.ceil(round(quantile * count, 9)))


@dataclass(slots=True)
class _Bucket:
    """One second while its requests are still under way."""

    planned: int = 0
    errors: int = 0
    rising_s: list[float] = field(default_factory=list)

    def row(self, second: int) -> Second:
        count = len(self.rising_s)
        return Second(
            second=second,
            requests=count,
            errors=self.errors,
            p50_ms=self.rising_s[nearest_rank(count, 0.5) - 1] * 1e3,
            p99_ms=self.rising_s[nearest_rank(count, 0.99) - 1] * 1e3,
            max_ms=self.rising_s[-1] * 1e3,
        )


class Figures:
    """Counts requests from their plan to their end, and says what it came to.

    A second's latencies are kept one by one only until its last request ended: a replay of hours
    then needs one row a second, not one number a request.
    """

    def __init__(self) -> None:
        self.planned = 0
        self._ended = 0
        self._latencies = Latencies()
        self._lags = Latencies()
        self._kinds: Counter[str] = Counter()
        self._slots: Counter[str] = Counter()
        self._slot_errors: Counter[str] = Counter()
        self._open: dict[int, _Bucket] = {}
        self._rows: dict[int, Second] = {}

    @property
    def under_way(self) -> int:
        """Requests that were planned and have not ended."""
        return self.planned - self._ended

    def plan(self, second: int) -> None:
        """A request of that second is due."""
        self.planned += 1
        self._open.setdefault(second, _Bucket()).planned += 1

    def left(self, lag_s: float) -> None:
        """A request was handed to the network, or given up, that long after its planned start."""
        self._lags.record(lag_s)

    def ended(self, second: int, latency_s: float, error: str = "", slot: str = "") -> None:
        """A planned request ended.

        Args:
            second: the one it was planned in.
            latency_s: from its planned start.
            error: its kind, empty for an answer that was fine.
            slot: who answered, where the answer says so.
        """
        self._ended += 1
        self._latencies.record(latency_s)
        bucket = self._open[second]
        insort(bucket.rising_s, latency_s)
        if error:
            bucket.errors += 1
            self._kinds[error] += 1
        if slot:
            self._slots[slot] += 1
            self._slot_errors[slot] += bool(error)

    def fold(self, before: int) -> None:
        """Keep only a row of each earlier second all of whose requests ended."""
        for second in [one for one in self._open if one < before]:
            bucket = self._open[second]
            if len(bucket.rising_s) == bucket.planned:
                self._rows[second] = bucket.row(second)
                del self._open[second]

    def report(self, duration_s: float) -> LoadReport:
        """All of it, once nothing is under way.

        Raises:
            ValueError: no request was planned, or one has not ended.
        """
        if not self.planned or self.under_way:
            raise ValueError(f"{self.under_way} of {self.planned} requests have not ended")
        p50_ms, p90_ms, p99_ms = self._latencies.quantiles_ms(0.5, 0.9, 0.99)
        (lag_p99_ms,) = self._lags.quantiles_ms(0.99)
        return LoadReport(
            planned=self.planned,
            sent=self.planned - self._kinds[NOT_SENT],
            errors=self._kinds.total(),
            duration_s=duration_s,
            p50_ms=p50_ms,
            p90_ms=p90_ms,
            p99_ms=p99_ms,
            max_ms=self._latencies.max_ms,
            lag_p99_ms=lag_p99_ms,
            histogram=self._latencies.encoded(),
            timeline=tuple(self._timeline()),
            errors_by_kind=tuple((kind, n) for kind, n in self._kinds.most_common() if n),
            by_slot=tuple((slot, n, self._slot_errors[slot]) for slot, n in self._slots.items()),
            percentiles=self._latencies.curve(),
        )

    def _timeline(self) -> Iterator[Second]:
        rows = {**self._rows, **{second: one.row(second) for second, one in self._open.items()}}
        return (rows[second] for second in sorted(rows))
