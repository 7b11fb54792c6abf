"""Champion against challenger: the numbers of `compare`, and what they mean."""

import math
from dataclasses import dataclass

from ml_pipeline.domain.evidence import RunRecord, StageResult
from ml_pipeline.reporting.story import known, newest
from ml_pipeline.reporting.wording import ABSENT, number, signed_pct


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One metric on the same held-out rows; None where there was nothing to compare with.

    `limits` are (name, limit) of the checks the challenger's number was held against;
    `low` and `high` bound (challenger - champion) / |champion| with 95 % where computed.
    """

    metric: str
    lower_is_better: bool | None
    rule: str
    tie: bool
    challenger: float
    champion: float | None
    best_kept: float | None
    baseline: float | None
    low: float | None
    high: float | None
    limits: tuple[tuple[str, float], ...]

    @property
    def change_share(self) -> float | None:
        """The challenger's difference from the champion, relative to the champion."""
        if self.champion is None or self.champion == 0:
            return None
        return (self.challenger - self.champion) / abs(self.champion)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The interval in the metric's own unit, around the champion's number."""
        if self.champion is None or self.low is None or self.high is None:
            return None
        size = abs(self.champion)
        return self.champion + self.low * size, self.champion + self.high * size

    @property
    def judgement(self) -> str:
        """`better`, `worse` or `tie`; empty when there is no champion or no direction."""
        if self.tie or self.challenger == self.champion:
            return "tie"
        if self.champion is None or self.lower_is_better is None:
            return ""
        return "better" if (self.challenger < self.champion) == self.lower_is_better else "worse"

    @property
    def change(self) -> str:
        """The difference in words, such as `-12.5 % (better)`."""
        if self.champion is None:
            return "first model of its name"
        share = self.change_share
        told = ABSENT if share is None else signed_pct(share)
        return f"{told} ({self.judgement})" if self.judgement else told


def contest(run: RunRecord) -> Contest | None:
    """The comparison of a run, None when `compare` recorded no challenger's metric."""
    result = newest(run, "compare")
    if result is None or "challenger" not in result.metrics:
        return None
    metrics, values = result.metrics, result.values
    challenger = metrics["challenger"]
    direction = values.get("direction")
    return Contest(
        metric=known(values.get("metric")),
        lower_is_better=None if direction is None else direction == "lower",
        rule=known(values.get("rule")),
        tie=values.get("tie") is True,
        challenger=challenger,
        champion=metrics.get("champion"),
        best_kept=metrics.get("best_kept"),
        baseline=metrics.get("baseline"),
        low=metrics.get("interval_low"),
        high=metrics.get("interval_high"),
        limits=_limits(result, challenger),
    )


def table(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """(label, value) rows of the comparison; empty when there was none."""
    found = contest(run)
    if found is None:
        return ()
    direction = {True: ", lower is better", False: ", higher is better", None: ""}
    rows = [
        ("Metric", f"{found.metric}{direction[found.lower_is_better]}"),
        ("Challenger", number(found.challenger)),
        ("Champion", number(found.champion)),
        ("Change", found.change),
        *_interval(found),
        *((f"Limit, by {name}", number(limit)) for name, limit in found.limits),
        ("Rule", found.rule),
    ]
    more = (("Best version kept", found.best_kept), ("Naive baseline", found.baseline))
    rows += [(label, number(value)) for label, value in more if value is not None]
    return tuple(rows) + _rows_compared(run)


def _interval(found: Contest) -> tuple[tuple[str, str], ...]:
    if found.low is None or found.high is None:
        return ()
    low, high = (signed_pct(bound) for bound in (found.low, found.high))
    return (("Change, 95 % interval", f"{low} to {high}"),)


def _rows_compared(run: RunRecord) -> tuple[tuple[str, str], ...]:
    result = newest(run, "evaluate")
    values = result.values if result is not None else {}
    labels = (
        ("rows", "Held-out rows compared"),
        ("seen_rows", "Rows left out, seen in training"),
        ("cutoff", "Held out from"),
    )
    return tuple(
        (label, known(values[key])) for key, label in labels if values.get(key) is not None
    )


def _limits(result: StageResult, challenger: float) -> tuple[tuple[str, float], ...]:
    return tuple(
        (check.name.removeprefix("challenger against "), check.limit)
        for check in result.checks
        if isinstance(check.limit, float)
        and isinstance(check.value, float)
        and math.isclose(check.value, challenger, rel_tol=1e-9)
    )
