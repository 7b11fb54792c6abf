"""Latency quantiles, and how sure a share seen in a few requests can be."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from ml_pipeline.domain.errors import DataError

#: Keeps `quantile * n` on its whole number when binary fractions put it a hair above it.
_ROUNDING = 1e-9


def tail_latency_ms(samples_s: Sequence[float], quantile: float = 0.99) -> float:
    """Latency that a share `quantile` of the requests stayed within.

    Nearest rank, no interpolation: the answer is a latency somebody really waited.

    Args:
        samples_s: shape (n,), n >= 1; seconds per request. A request that timed out
            counts with its time-out, never left out.
        quantile: share of requests, 0 < quantile <= 1.

    Returns:
        Milliseconds, >= 0.

    Raises:
        DataError: n == 0, or a sample is negative or not finite.
        ValueError: `quantile` is not within (0, 1].

    Source:
        Hyndman & Fan (1996), The American Statistician 50(4), 361-365: definition 1.

    >>> tail_latency_ms([0.4, 0.1, 0.3, 0.2], quantile=0.5)
    200.0
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"quantile = {quantile!r} is not within (0, 1]")
    if not samples_s:
        raise DataError("there is no latency to take a quantile of", remedy="Send requests first.")
    for index, sample in enumerate(samples_s):
        if not (math.isfinite(sample) and sample >= 0):
            raise DataError(
                f"latency {index} is {sample!r} s: not a finite number >= 0",
                remedy="Mend the clock or the generator that measured it.",
            )
    rank = math.ceil(quantile * len(samples_s) - _ROUNDING)
    return sorted(samples_s)[max(rank, 1) - 1] * 1000.0


def share_lower_bound(events: int, n: int, confidence: float = 0.95) -> float:
    """Share that the true one is at least, at a one-sided confidence.

    Wilson's score bound: unlike the textbook interval it stays honest for few requests and
    for shares near 0 and 1, where rollouts live.

    Args:
        events: how many of the `n` requests did it (failed, were slow).
        n: requests seen, >= 1.
        confidence: probability that the bound holds, 0.5 <= confidence < 1.

    Returns:
        Share, 0 to 1; 0 when there was no event.

    Raises:
        DataError: n == 0 ("no data" is its own answer), or not 0 <= events <= n.
        ValueError: `confidence` is not within [0.5, 1).

    Source:
        Wilson (1927), Journal of the American Statistical Association 22(158), 209-212.

    >>> round(share_lower_bound(3, 10, 0.975), 4)
    0.1078
    """
    if _counted(events, n) == 0:
        return 0.0
    return max(0.0, _wilson(events, n, -_score(confidence)))


def share_upper_bound(events: int, n: int, confidence: float = 0.95) -> float:
    """Share that the true one is at most, at a one-sided confidence.

    The mirror of `share_lower_bound`, with the same arguments, errors and source.

    Args:
        events: how many of the `n` requests did it.
        n: requests seen, >= 1.
        confidence: probability that the bound holds, 0.5 <= confidence < 1.

    Returns:
        Share, 0 to 1; 1 when every request did it.

    Raises:
        DataError: n == 0, or not 0 <= events <= n.
        ValueError: `confidence` is not within [0.5, 1).

    Source:
        Wilson (1927), Journal of the American Statistical Association 22(158), 209-212.

    >>> round(share_upper_bound(3, 10, 0.975), 4)
    0.6032
    """
    if _counted(events, n) == n:
        return 1.0
    return min(1.0, _wilson(events, n, _score(confidence)))


def _counted(events: int, n: int) -> int:
    if n < 1:
        raise DataError("no request was seen: a share of nothing", remedy="Send requests first.")
    if not 0 <= events <= n:
        raise DataError(
            f"{events} events among {n} requests cannot be", remedy="Mend what counts them."
        )
    return events


def _score(confidence: float) -> float:
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence = {confidence!r} is not within [0.5, 1)")
    return NormalDist().inv_cdf(confidence)


def _wilson(events: int, n: int, z: float) -> float:
    share = events / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle + spread) / (1 + z * z / n)


def chance_of_as_many(events: int, n: int, share: float) -> float:
    """Probability of at least `events` among `n` requests when each does it with `share`.

    The exact binomial tail. A normal approximation such as Wilson's calls one failure among
    five requests proof at 99.9 % against a limit of 1 %; its true chance is 4.9 %.

    Args:
        events: how many of the `n` requests did it (failed, were slow).
        n: requests seen, >= 1.
        share: what each request does it with at most, 0 <= share <= 1.

    Returns:
        Probability, 0 to 1; exact to about 1e-12, which is not a relative precision.

    Raises:
        DataError: n == 0 ("no data" is its own answer), or not 0 <= events <= n.

    Source:
        Clopper & Pearson (1934), Biometrika 26(4), 404-413.

    >>> round(chance_of_as_many(1, 5, 0.01), 4)
    0.049
    >>> chance_of_as_many(3, 19, 0.01) < 0.001
    True
    """
    if _counted(events, n) == 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    # log P(i) from log P(i - 1), so that neither many requests nor rare events underflow.
    log_term, fewer = n * math.log1p(-share), 0.0
    step = math.log(share) - math.log1p(-share)
    for count in range(events):
        fewer += math.exp(log_term)
        log_term += math.log((n - count) / (count + 1)) + step
    return min(1.0, max(0.0, 1.0 - fewer))
