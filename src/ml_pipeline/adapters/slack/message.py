"""A run in a few lines of Slack's own markup."""

from collections.abc import Iterator, Mapping

from ml_pipeline.domain.evidence import Outcome, RunRecord, StageResult, Status

_SIGNS: Mapping[Outcome, str] = {
    Outcome.PROMOTED: ":white_check_mark:",
    Outcome.CHECKS_PASSED: ":white_check_mark:",
    Outcome.NOTHING_TO_DO: ":white_circle:",
    Outcome.NO_IMPROVEMENT: ":white_circle:",
    Outcome.AWAITING_APPROVAL: ":raised_hand:",
    Outcome.CHECKS_RED: ":x:",
    Outcome.ROLLED_BACK: ":rewind:",
    Outcome.INCONCLUSIVE: ":grey_question:",
    Outcome.ERROR: ":boom:",
    Outcome.INTERRUPTED: ":black_square_for_stop:",
}
_MOST_CHECKS = 5
_LONGEST = 400


def message_of(run: RunRecord) -> str:
    """Outcome, model, challenger against champion, why, and what went red.

    Everything but our own words is escaped, so that no message can mention a channel or a link.

    Source:
        docs.slack.dev, "Formatting message text": `&`, `<` and `>` are the control characters.
    """
    return "\n".join(_lines(run))


def _lines(run: RunRecord) -> Iterator[str]:
    outcome = run.outcome.replace("-", " ").capitalize()
    yield f"{_SIGNS[run.outcome]} *{outcome}*: {_plain(run.model)} ({_plain(run.project)})"
    if run.message:
        yield _plain(run.message)
    compared = _newest(run, "compare")
    if compared is not None:
        yield from _scores(compared)
    yield from _red(run)
    yield from _beyond_the_rules(run)
    commit = f" · commit {_plain(run.commit[:12])}" if run.commit else ""
    yield f"run {_plain(run.run_id)} on {_plain(run.platform)} · {run.duration_s:.0f} s{commit}"


def _scores(compared: StageResult) -> Iterator[str]:
    metric = compared.values.get("metric", "metric")
    told = [
        f"{whose} {compared.metrics[whose]:.6g}"
        for whose in ("challenger", "champion", "baseline")
        if whose in compared.metrics
    ]
    if told:
        yield f"{_plain(str(metric))}: {', '.join(told)}"


def _red(run: RunRecord) -> Iterator[str]:
    red = [
        f"• {_plain(result.stage)}: {_plain(check.message or check.name)}"
        for result in run.stages
        if result.status is not Status.PASSED
        for check in result.checks
        if not check.passed
    ]
    yield from red[:_MOST_CHECKS]
    if len(red) > _MOST_CHECKS:
        yield f"• and {len(red) - _MOST_CHECKS} more"


def _beyond_the_rules(run: RunRecord) -> Iterator[str]:
    asked = [name for name in ("force", "force_promote", "chaos") if run.options.get(name)]
    if asked:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in asked)
        reason = run.options.get("reason") or "no reason given"
        yield f":warning: {flags}: {_plain(str(reason))}"


def _newest(run: RunRecord, stage: str) -> StageResult | None:
    found = [result for result in run.stages if result.stage == stage]
    return max(found, key=lambda result: result.attempt, default=None)


def _plain(text: str) -> str:
    line = " ".join(text.split())
    cut = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
