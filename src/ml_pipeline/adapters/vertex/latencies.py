"""Latencies as Cloud Monitoring keeps them: counts in buckets."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

#: Vertex AI writes latencies in microseconds.
_US_IN_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Latencies:
    """Counts by bucket; bucket i holds what is at least `bounds_us[i - 1]` and below the next.

    Args:
        bounds_us: shape (n,), rising, microseconds.
        counts: shape (n + 1,): below the first bound, between bounds, from the last one up.
    """

    bounds_us: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.counts)

    def slow(self, slow_ms: float) -> int:
        """How many took at least `slow_ms`, spread evenly within the bucket it lies in, rounded up.

        >>> Latencies((10_000.0, 20_000.0), (5, 10, 1)).slow(15.0)
        6
        """
        limit_us = slow_ms * _US_IN_MS
        total = 0.0
        for low, high, count in self._buckets():
            if low >= limit_us:
                total += count
            elif high > limit_us:
                total += count * (high - limit_us) / (high - low)
        return -int(-total // 1)

    def quantile_ms(self, share: float) -> float:
        """Latency a share of the requests stayed within, by linear interpolation in its bucket.

        Source:
            https://cloud.google.com/monitoring/charts/charting-distribution-metrics: percentiles
            of a distribution are interpolated within a bucket.

        >>> Latencies((10_000.0, 20_000.0), (0, 10, 0)).quantile_ms(0.5)
        15.0
        """
        rank, before = share * self.count, 0
        for low, high, count in self._buckets():
            if count and before + count >= rank:
                return (low + (high - low) * (rank - before) / count) / _US_IN_MS
            before += count
        return self.bounds_us[-1] / _US_IN_MS

    def _buckets(self) -> list[tuple[float, float, int]]:
        """Low, high, count; the last bucket has no end, so all of it lies at its beginning."""
        lows = (0.0, *self.bounds_us)
        highs = (*self.bounds_us, self.bounds_us[-1])
        return list(zip(lows, highs, self.counts, strict=True))


def added(known: Latencies | None, distribution: Any) -> Latencies | None:
    """What is known with one more `google.api.Distribution`; those of one series share buckets."""
    bounds = _bounds(distribution.bucket_options)
    given: Sequence[int] = list(distribution.bucket_counts)
    if not bounds or not given:
        return known
    counts = [*given, *[0] * (len(bounds) + 1 - len(given))]
    if known is None or known.bounds_us != bounds:
        before = Latencies(bounds, (0,) * (len(bounds) + 1)) if known is None else known
        if known is not None and known.bounds_us != bounds:
            return _rebinned(known, bounds, counts)
        known = before
    return Latencies(bounds, tuple(a + b for a, b in zip_longest(known.counts, counts)))


def _rebinned(known: Latencies, bounds: tuple[float, ...], counts: Sequence[int]) -> Latencies:
    """Two kinds of buckets put into one, each count at the lower end of its own bucket."""
    merged = tuple(sorted({*known.bounds_us, *bounds}))
    total = [0] * (len(merged) + 1)
    for edges, numbers in ((known.bounds_us, known.counts), (bounds, counts)):
        for place, number in enumerate(numbers):
            total[merged.index(edges[place - 1]) + 1 if place else 0] += number
    return Latencies(merged, tuple(total))


def _bounds(options: Any) -> tuple[float, ...]:
    """The finite bounds of a distribution's buckets.

    Source:
        google/api/distribution.proto, `BucketOptions`.
    """
    kind = options.WhichOneof("options") if hasattr(options, "WhichOneof") else _kind(options)
    if kind == "explicit_buckets":
        return tuple(options.explicit_buckets.bounds)
    if kind == "exponential_buckets":
        form = options.exponential_buckets
        return tuple(
            form.scale * form.growth_factor**place for place in range(form.num_finite_buckets + 1)
        )
    if kind == "linear_buckets":
        line = options.linear_buckets
        return tuple(line.offset + line.width * i for i in range(line.num_finite_buckets + 1))
    return ()


def _kind(options: Any) -> str | None:
    kind: str | None = type(options).pb(options).WhichOneof("options")
    return kind
