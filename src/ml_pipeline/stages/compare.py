"""The verdict: promote, no improvement, or inconclusive."""

from ml_pipeline.domain.evidence import Outcome, StageOutcome, Status
from ml_pipeline.domain.gate import Verdict, VerdictKind, judge, judge_first
from ml_pipeline.domain.metrics import DIRECTIONS, read
from ml_pipeline.domain.policies.gate import Direction, GatePolicy, MetricPolicy
from ml_pipeline.ports.evidence import RunOptions, StageFolder


def run(
    *, stage: StageFolder, metric: MetricPolicy, gate: GatePolicy, options: RunOptions
) -> StageOutcome:
    """Judge what `evaluate` measured; `--force-promote` passes "no improvement", no fault."""
    evaluated = stage.result("evaluate")
    scores = evaluated.metrics
    rows = evaluated.values["rows"]
    if not isinstance(rows, int):
        raise TypeError(f"evaluate recorded rows = {rows!r}")
    ours = read(metric, scores, key="challenger", whose="the challenger")
    if evaluated.values["champion"] is None:
        baseline = read(metric, scores, key="baseline", whose="the naive baseline")
        verdict = judge_first(gate, metric, challenger=ours, baseline=baseline, rows=rows)
    else:
        theirs = read(metric, scores, key="champion", whose="the champion")
        verdict = judge(
            gate,
            metric,
            challenger=ours,
            champion=theirs,
            best_kept=_best(metric, scores),
            rows=rows,
            interval=_interval(scores),
        )
    return _outcome(verdict, metric, gate, options, scores)


def _best(metric: MetricPolicy, scores: dict[str, float]) -> float | None:
    kept = [
        read(metric, scores, key=key, whose=f"kept {key}")
        for key in scores
        if key.startswith("version.")
    ]
    if not kept:
        return None
    return min(kept) if DIRECTIONS[metric.name] is Direction.LOWER else max(kept)


def _interval(scores: dict[str, float]) -> tuple[float, float] | None:
    if "interval_low" not in scores:
        return None
    return scores["interval_low"], scores["interval_high"]


def _outcome(
    verdict: Verdict,
    metric: MetricPolicy,
    gate: GatePolicy,
    options: RunOptions,
    scores: dict[str, float],
) -> StageOutcome:
    best = _best(metric, scores)
    shown = {key: scores[key] for key in scores if not key.startswith("version.")}
    if best is not None:
        shown["best_kept"] = best
    status, outcome, message = Status.PASSED, "", verdict.message
    overridden = verdict.kind is VerdictKind.NO_IMPROVEMENT and options.force_promote
    if overridden:
        message = f"promoted by force ({options.reason or 'no reason given'}): {verdict.message}"
    elif verdict.kind is VerdictKind.NO_IMPROVEMENT:
        status, outcome = Status.FAILED, Outcome.NO_IMPROVEMENT
    elif verdict.kind is VerdictKind.INCONCLUSIVE:
        status, outcome = Status.INCONCLUSIVE, Outcome.INCONCLUSIVE
    return StageOutcome(
        status=status,
        outcome=outcome,
        message=message,
        checks=verdict.checks,
        metrics=shown,
        values={
            "metric": metric.name,
            "direction": DIRECTIONS[metric.name],
            "rule": gate.rule,
            "verdict": verdict.kind,
            "tie": verdict.tie,
            "overridden": overridden,
        },
    )
