"""What a run's record says, in the words and the order a reader needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import JsonValue

from ml_pipeline.domain.evidence import Check, Outcome, RunRecord, StageResult, Status
from ml_pipeline.pipeline import STAGES
from ml_pipeline.reporting.wording import ABSENT, number, when

TITLES: Mapping[str, str] = {spec.id: spec.title for spec in STAGES}
#: They write about the run, so they cannot stand in their own report.
_TELLERS = frozenset({"report", "notify"})


class Tone(StrEnum):
    """How news feels, for colour; the words and signs beside it say the same."""

    GOOD = "good"
    CALM = "calm"
    ASKING = "asking"
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome in words; `sign` is one character, `mark` an emoji for Markdown."""

    title: str
    tone: Tone
    sign: str
    mark: str


VERDICTS: Mapping[Outcome, Verdict] = {
    Outcome.PROMOTED: Verdict("Promoted", Tone.GOOD, "✓", "✅"),
    Outcome.NOTHING_TO_DO: Verdict("Nothing to do", Tone.CALM, "=", "⚪"),
    Outcome.AWAITING_APPROVAL: Verdict("Waiting for approval", Tone.ASKING, "?", "✋"),
    Outcome.CHECKS_PASSED: Verdict("Checks passed", Tone.GOOD, "✓", "✅"),
    Outcome.NO_IMPROVEMENT: Verdict("No improvement", Tone.CALM, "≤", "⚪"),
    Outcome.CHECKS_RED: Verdict("Checks red", Tone.BAD, "✗", "❌"),
    Outcome.ROLLED_BACK: Verdict("Rolled back", Tone.BAD, "↩", "⏪"),
    Outcome.INCONCLUSIVE: Verdict("Inconclusive", Tone.DOUBT, "~", "❔"),
    Outcome.ERROR: Verdict("Error", Tone.BAD, "!", "💥"),
    Outcome.INTERRUPTED: Verdict("Interrupted", Tone.DOUBT, "■", "⏹️"),
}
SIGNS: Mapping[Status, Verdict] = {
    Status.PASSED: Verdict("passed", Tone.GOOD, "✓", "✅"),
    Status.FAILED: Verdict("failed", Tone.BAD, "✗", "❌"),
    Status.SKIPPED: Verdict("skipped", Tone.CALM, "–", "⏭️"),  # noqa: RUF001 - a sign
    Status.WAITING: Verdict("waiting", Tone.ASKING, "?", "✋"),
    Status.INCONCLUSIVE: Verdict("inconclusive", Tone.DOUBT, "~", "❔"),
    Status.ERROR: Verdict("error", Tone.BAD, "!", "💥"),
    Status.INTERRUPTED: Verdict("interrupted", Tone.DOUBT, "■", "⏹️"),
}


def sign(result: StageResult) -> Verdict:
    """How a stage ended: by its outcome where it has one of a run's, else by its status."""
    if result.status is not Status.PASSED and result.outcome in set(Outcome):
        verdict = VERDICTS[Outcome(result.outcome)]
        return replace(verdict, title=verdict.title.lower())
    return SIGNS[result.status]


def title(stage: str) -> str:
    """A stage's heading; its id when the list of stages does not know it."""
    return TITLES.get(stage, stage)


def newest(run: RunRecord, stage: str) -> StageResult | None:
    """The last attempt of a stage in this run."""
    found = [result for result in run.stages if result.stage == stage]
    return max(found, key=lambda result: result.attempt, default=None)


def stages(run: RunRecord) -> tuple[StageResult, ...]:
    """The last attempt of every stage, in the order the pipeline lists them."""
    order = {spec.id: place for place, spec in enumerate(STAGES)}
    last = {r.stage: r for r in sorted(run.stages, key=lambda result: result.attempt)}
    return tuple(sorted(last.values(), key=lambda r: order.get(r.stage, len(order))))


def not_run(run: RunRecord) -> tuple[str, ...]:
    """Ids of the stages this run has nothing about; checks alone owe no more than `ci` runs."""
    known = {result.stage for result in run.stages} | _TELLERS
    only_ci = run.outcome is Outcome.CHECKS_PASSED
    return tuple(s.id for s in STAGES if s.id not in known and (s.ci or not only_ci))


def culprits(run: RunRecord) -> tuple[StageResult, ...]:
    """The stages that kept the run from passing through; also those that wait."""
    fine = {Status.PASSED, Status.SKIPPED}
    return tuple(result for result in stages(run) if result.status not in fine)


def red(result: StageResult) -> tuple[Check, ...]:
    """The checks of a stage that did not pass."""
    return tuple(check for check in result.checks if not check.passed)


def overrides(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """What was asked for beyond the rules: (what, what it means); the reason comes last."""
    asked = run.options
    chaos = asked.get("chaos")
    said: list[tuple[str, str]] = []
    if asked.get("force"):
        said.append(("--force", "passed “nothing to do” and the cost guard"))
    if asked.get("force_promote"):
        said.append(("--force-promote", "passed the verdict “no improvement”"))
    if chaos:
        said.append(("--chaos", f"a drill: the challenger was made to fail ({_text(chaos)})"))
    if said:
        reason = _text(asked.get("reason"))
        said.append(("reason", reason if reason != ABSENT else "none was given"))
    return tuple(said)


def versions(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """(role, version) of the challenger and the champion, as far as the stages recorded them."""
    places = (
        ("challenger", (("register", "version"),)),
        ("champion", (("evaluate", "champion"), ("drift", "against"))),
    )
    found: list[tuple[str, str]] = []
    for role, keys in places:
        for stage, key in keys:
            result = newest(run, stage)
            if result is not None and result.values.get(key) is not None:
                found.append((role, _text(result.values[key])))
                break
    return tuple(found)


def facts(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """(label, value) of what identifies the run."""
    return (
        ("Project", run.project),
        ("Model", run.model),
        *((f"{role.capitalize()} version", version) for role, version in versions(run)),
        ("Platform", f"{run.platform} ({run.profile})"),
        ("Trigger", run.trigger),
        ("Commit", (run.commit or ABSENT)[:12]),
        ("Run", run.run_id),
        ("Started", when(run.started_at)),
    )


def known(value: JsonValue) -> str:
    """A value out of `values` or `options` as text."""
    return _text(value)


def _text(value: JsonValue) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | str):
        return number(value)
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or ABSENT
    return ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) or ABSENT
