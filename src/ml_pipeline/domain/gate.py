"""The verdict: whether the challenger may go on, said in one sentence with its numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ml_pipeline.domain.evidence import Check
from ml_pipeline.domain.metrics import DIRECTIONS, read
from ml_pipeline.domain.policies.gate import (
    Direction,
    GatePolicy,
    GateRule,
    MetricName,
    MetricPolicy,
)

#: Two sums over the same rows in another order differ by about 1e-16 a row.
_NOISE = 1e-12
#: Metrics in the target's own unit, where a difference means nothing without their size.
_IN_UNITS = frozenset({MetricName.MAE, MetricName.RMSE})
_CHAMPION = "the champion"
_BEST_KEPT = "the best kept version"


class VerdictKind(StrEnum):
    """What a comparison came to."""

    PROMOTE = "promote"
    NO_IMPROVEMENT = "no-improvement"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict, the sentence that explains it, and what was held against what.

    `tie`: challenger and champion (or baseline) are the same number within float noise.
    """

    kind: VerdictKind
    message: str
    checks: tuple[Check, ...]
    tie: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


def judge(  # noqa: PLR0913 - the numbers of one comparison
    policy: GatePolicy,
    metric: MetricPolicy,
    *,
    challenger: float,
    champion: float,
    best_kept: float | None,
    rows: int,
    interval: tuple[float, float] | None,
) -> Verdict:
    """Challenger against champion, on the same rows.

    Relative limits are taken from the metric's size, |champion|, so that they allow what they
    say also where a metric is negative (`r2`); of a metric of 0 every share is 0.

    - `non-inferior`: worse than the champion by at most `tolerance`, and than the best version
      kept by at most `tolerance`, so that repeated small losses cannot add up. A tie passes.
    - `superior`: better than the champion by at least `improvement`. A tie does not pass.

    The point estimates decide. The interval is evidence: where it holds the limit too, the
    sentence says so, because other rows of the same kind might have turned the verdict.

    Args:
        policy: rule and shares.
        metric: name and believed range.
        challenger: its metric.
        champion: its metric.
        best_kept: the best metric among versions that served and are kept, on the same rows;
            None when there is none. `superior` does not ask for it.
        rows: how many rows all of them were scored on.
        interval: 95 % interval of (challenger - champion) / |champion|, None where unknown.

    Raises:
        DataError: a metric is NaN, infinite or outside the believed range.

    >>> gate = GatePolicy(limit=10)
    >>> mae = MetricPolicy(name="mae", min=0, max=60, prediction_min=0, prediction_max=240)
    >>> judge(gate, mae, challenger=4.1, champion=4.0, best_kept=None, rows=500, interval=None
    ...       ).message
    "promote: mae 4.1 is 2.5 % worse than the champion's 4, within the tolerance of 5 % (500 rows)"
    """
    believed = {"challenger": challenger, "champion": champion}
    if best_kept is not None:
        believed["best_kept"] = best_kept
    metrics = _believed(metric, believed)
    few = too_few_rows(policy, rows)
    if few is not None:
        return few
    tie = _same(metric, challenger, champion)
    checks = (_enough(policy, rows), *_compared(policy, metric, challenger, champion, best_kept))
    kind = _kind(checks)
    sentence = _sentence(policy, metric, challenger, champion, tie=tie)
    message = f"{kind}: {sentence}{_best(checks, champion, best_kept)} ({rows} rows)"
    message += _doubt(policy, metric, interval)
    return Verdict(kind=kind, message=message, checks=checks, tie=tie, metrics=metrics)


def judge_first(
    policy: GatePolicy, metric: MetricPolicy, *, challenger: float, baseline: float, rows: int
) -> Verdict:
    """The first model of its name: it holds the absolute limit and beats the naive baseline.

    Args:
        policy: its `limit` is the least that is good enough.
        metric: name and believed range.
        challenger: its metric.
        baseline: the metric of the best constant prediction on the same rows; a tie with it
            does not pass.
        rows: how many rows both were scored on.

    Raises:
        DataError: a metric is NaN, infinite or outside the believed range.
    """
    metrics = _believed(metric, {"challenger": challenger, "baseline": baseline})
    few = too_few_rows(policy, rows)
    if few is not None:
        return few
    tie = _same(metric, challenger, baseline)
    good = _keeps(metric, challenger, policy.limit)
    better = not tie and _keeps(metric, challenger, baseline)
    checks = (
        _enough(policy, rows),
        _against("the absolute limit", metric, challenger, policy.limit, passed=good),
        _against("the naive baseline", metric, challenger, baseline, passed=better),
    )
    kind = _kind(checks)
    versus = "ties with" if tie else "beats" if better else "does not beat"
    message = (
        f"{kind}: {metric.name} {challenger:.6g} {'holds' if good else 'misses'} the limit of"
        f" {policy.limit:g} and {versus} the naive baseline's {baseline:.6g} ({rows} rows)"
    )
    return Verdict(kind=kind, message=message, checks=checks, tie=tie, metrics=metrics)


def too_few_rows(policy: GatePolicy, rows: int) -> Verdict | None:
    """The verdict "inconclusive" when there are too few comparable rows, else None."""
    check = _enough(policy, rows)
    if check.passed:
        return None
    kind = VerdictKind.INCONCLUSIVE
    return Verdict(kind=kind, message=f"{kind}: {check.message}", checks=(check,))


def _believed(metric: MetricPolicy, values: Mapping[str, float]) -> dict[str, float]:
    return {
        key: read(metric, values, key=key, whose=f"the comparison ({metric.name})")
        for key in values
    }


def _compared(
    policy: GatePolicy,
    metric: MetricPolicy,
    challenger: float,
    champion: float,
    best_kept: float | None,
) -> tuple[Check, ...]:
    if policy.rule is GateRule.SUPERIOR:
        limit = _moved(metric, champion, -policy.improvement)
        better = not _same(metric, challenger, champion) and _keeps(metric, challenger, limit)
        return (_against(_CHAMPION, metric, challenger, limit, passed=better),)
    standards = [(_CHAMPION, champion)]
    if best_kept is not None:
        standards.append((_BEST_KEPT, best_kept))
    limits = [(what, _moved(metric, value, policy.tolerance)) for what, value in standards]
    return tuple(
        _against(what, metric, challenger, limit, passed=_keeps(metric, challenger, limit))
        for what, limit in limits
    )


def _kind(checks: tuple[Check, ...]) -> VerdictKind:
    passed = all(check.passed for check in checks)
    return VerdictKind.PROMOTE if passed else VerdictKind.NO_IMPROVEMENT


def _enough(policy: GatePolicy, rows: int) -> Check:
    passed = rows >= policy.min_rows
    message = f"{rows} comparable rows, of {policy.min_rows} asked for"
    return Check(
        name="comparable rows",
        passed=passed,
        value=float(rows),
        limit=float(policy.min_rows),
        unit="rows",
        message=message,
    )


def _against(
    what: str, metric: MetricPolicy, challenger: float, limit: float, *, passed: bool
) -> Check:
    asked = "at most" if _lower(metric) else "at least"
    message = f"{metric.name} {challenger:.6g}, asked for {asked} {limit:.6g}"
    return Check(
        name=f"challenger against {what}",
        passed=passed,
        value=challenger,
        limit=limit,
        unit=metric.name,
        message=message,
    )


def _lower(metric: MetricPolicy) -> bool:
    return DIRECTIONS[metric.name] is Direction.LOWER


def _moved(metric: MetricPolicy, value: float, worse_by: float) -> float:
    """The value made worse by a share of its size; better, when the share is negative."""
    step = worse_by * abs(value)
    return value + step if _lower(metric) else value - step


def _same(metric: MetricPolicy, one: float, other: float) -> bool:
    absolute = 0.0 if metric.name in _IN_UNITS else _NOISE
    return math.isclose(one, other, rel_tol=_NOISE, abs_tol=absolute)


def _keeps(metric: MetricPolicy, challenger: float, limit: float) -> bool:
    better = challenger <= limit if _lower(metric) else challenger >= limit
    return better or _same(metric, challenger, limit)


def _sentence(
    policy: GatePolicy, metric: MetricPolicy, challenger: float, champion: float, *, tie: bool
) -> str:
    superior = policy.rule is GateRule.SUPERIOR
    asked = (
        f"at least {_pct(policy.improvement)} better asked for"
        if superior
        else f"within the tolerance of {_pct(policy.tolerance)}"
    )
    if tie:
        after = f", {asked}" if superior else ""
        return f"{metric.name} {challenger:.6g} ties with the champion's {champion:.6g}{after}"
    better = challenger < champion if _lower(metric) else challenger > champion
    by = _by(challenger, champion)
    if not (
        superior or better or _keeps(metric, challenger, _moved(metric, champion, policy.tolerance))
    ):
        asked = f"beyond the tolerance of {_pct(policy.tolerance)}"
    after = f", {asked}" if superior or not better else ""
    word = "better" if better else "worse"
    return (
        f"{metric.name} {challenger:.6g} is {by} {word} than the champion's {champion:.6g}{after}"
    )


def _by(challenger: float, champion: float) -> str:
    difference = abs(challenger - champion)
    return f"{difference:.3g}" if champion == 0 else _pct(difference / abs(champion))


def _pct(share: float) -> str:
    return f"{100 * share:.3g} %"


def _best(checks: tuple[Check, ...], champion: float, best_kept: float | None) -> str:
    passed = all(check.passed for check in checks if _BEST_KEPT in check.name)
    if passed or best_kept == champion:
        return ""
    return f", and beyond the tolerance from the best kept version's {best_kept:.6g}"


def _doubt(policy: GatePolicy, metric: MetricPolicy, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    low, high = interval
    superior = policy.rule is GateRule.SUPERIOR
    worse_by = -policy.improvement if superior else policy.tolerance
    limit = worse_by if _lower(metric) else -worse_by
    text = f"; 95 % interval of the difference {100 * low:+.3g} to {100 * high:+.3g} %"
    if low < limit < high:
        text += f" holds the limit of {100 * limit:+.3g} %: other rows might decide otherwise"
    return text
