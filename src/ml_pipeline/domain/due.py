"""Whether training is due, and the guard against paying for it twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml_pipeline.domain.policies.gate import RetrainPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a run has to decide.

    `judged_in`: the run in which these very inputs (code, settings, data) got their verdict.
    `last_trained`: when the project last paid for a training, bootstraps left out.
    `last_failed`: that training came to no verdict, and its inputs were others than these or its
    run was interrupted: what was paid for gave no answer that these inputs could share.
    """

    now: datetime
    has_champion: bool
    champion_since: datetime | None
    judged_in: str | None
    last_trained: datetime | None
    last_failed: bool
    running_jobs: Sequence[str]
    drifted: Sequence[str]
    forced: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Train or not, and why."""

    train: bool
    message: str


def decide(policy: RetrainPolicy, seen: Situation) -> Decision:
    """Train when something changed, drifted or aged, unless the guard forbids it.

    The guard is against paying twice for an answer that is already there: it holds back nothing
    while there is no champion, nor the corrected run after a training that failed.
    Force passes both "nothing changed" and the guard, but never starts a second job beside one
    that is still running: that would pay twice for one answer.
    """
    if seen.running_jobs:
        jobs = ", ".join(seen.running_jobs)
        return Decision(train=False, message=f"a training is still running: {jobs}")
    why = _why(policy, seen)
    if why is None:
        return Decision(train=False, message=f"nothing changed since run {seen.judged_in}")
    if _guarded(policy, seen):
        message = (
            f"training is due ({why}) but the last one was at {seen.last_trained:%Y-%m-%d %H:%M}"
            f" and the cost guard lasts {policy.guard_h:g} h: use --force to train now"
        )
        return Decision(train=False, message=message)
    return Decision(train=True, message=why)


def _guarded(policy: RetrainPolicy, seen: Situation) -> bool:
    if seen.forced or seen.last_failed or not seen.has_champion or seen.last_trained is None:
        return False
    return seen.now < seen.last_trained + timedelta(hours=policy.guard_h)


def _why(policy: RetrainPolicy, seen: Situation) -> str | None:
    if seen.forced:
        return f"forced: {seen.reason}" if seen.reason else "forced"
    if not seen.has_champion:
        return "there is no champion yet"
    if seen.drifted:
        return f"drift in {', '.join(seen.drifted)}"
    limit = timedelta(hours=policy.max_age_h)
    if seen.champion_since and seen.now - seen.champion_since > limit:
        return f"the champion serves since {seen.champion_since:%Y-%m-%d %H:%M}"
    if seen.judged_in is None:
        return "code, settings or data changed"
    return None
