"""What a step of a rollout shows: go on watching, advance, harm, or no evidence at all.

Limits are fixed shares here; a sequential test (one that may be looked at after every request
at a known false-alarm rate) has its place in `judge_step`, behind the same signature.
"""

from dataclasses import dataclass
from enum import StrEnum

from ml_pipeline.domain.policies.release import RolloutPolicy
from ml_pipeline.domain.quantiles import chance_of_as_many

#: Harm is called when a model within its limits would show this much more rarely than this.
#: Small, because a step is looked at every few seconds and each look may be wrong.
HARM_CHANCE = 0.001
_SLOW = "were slow"
#: One pause of a machine makes a row of answers slow and says nothing of the model: until a step
#: has its requests, slowness is harm only when most of at least so many were slow.
_FEW = 20


class StepState(StrEnum):
    """What to do with a step now."""

    WATCH = "watch"
    ADVANCE = "advance"
    HARM = "harm"
    NO_EVIDENCE = "no-evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What users of one slot saw; `slow` and `p99_ms` None where the platform tells none.

    `refused`: requests answered 4xx, beside `requests`. Users send wrong requests to every
    model alike, so they are held against `refused_share`, what the champion refuses.
    """

    requests: int
    errors: int
    slow: int | None
    p99_ms: float | None = None
    refused: int = 0
    refused_share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJudgement:
    """A step's state and the sentence for the journal and the report."""

    state: StepState
    message: str


def judge_step(
    policy: RolloutPolicy, seen: Seen, *, held_s: float, waited_s: float
) -> StepJudgement:
    """Judge a step from all the challenger's requests since the step began.

    Harm is called as soon as a share is above its limit with confidence; a step is passed only
    when enough requests are in, every share keeps its limit, and some latency was measured:
    the slow share or the 99th percentile. Silence never passes.

    Args:
        policy: limits and how long to hold.
        seen: the challenger's requests in this step so far.
        held_s: seconds of the step that the figures cover; late figures cover less than passed.
        waited_s: seconds since the step began.
    """
    harm = _harm(policy, seen)
    if harm:
        return StepJudgement(state=StepState.HARM, message=harm)
    timed = seen.slow is not None or seen.p99_ms is not None
    enough = seen.requests >= policy.min_requests and held_s >= policy.hold_s and timed
    over = _over_limit(policy, seen)
    if enough and not over:
        message = f"{seen.requests} requests, {seen.errors} errors, {_slow(seen)} slow"
        return StepJudgement(state=StepState.ADVANCE, message=message)
    if waited_s >= policy.step_time_limit_s:
        figures = "figures" if timed else "no latency, and figures"
        why = over or f"{figures} for only {held_s:.0f} s and {seen.requests} requests came in"
        message = f"{why} within {policy.step_time_limit_s:g} s"
        return StepJudgement(state=StepState.NO_EVIDENCE, message=message)
    return StepJudgement(state=StepState.WATCH, message=f"{seen.requests} requests so far")


def _slow(seen: Seen) -> str:
    return "unmeasured" if seen.slow is None else str(seen.slow)


def _harm(policy: RolloutPolicy, seen: Seen) -> str:
    for kind, count, limit in _shares(policy, seen):
        early = kind == _SLOW and seen.requests < policy.min_requests
        if early and (seen.requests < _FEW or count * 2 < seen.requests):
            continue
        if count and chance_of_as_many(count, seen.requests, limit) < HARM_CHANCE:
            return _sentence(kind, count, seen.requests, limit)
    asked, usual = seen.requests + seen.refused, seen.refused_share + policy.max_error_share
    if seen.refused and chance_of_as_many(seen.refused, asked, usual) < HARM_CHANCE:
        return (
            f"{seen.refused} of {asked} challenger requests were refused (4xx), of the champion's"
            f" {seen.refused_share:.1%}"
        )
    # Where slow answers are not counted, the 99th percentile says whether 1 % were.
    measured = seen.p99_ms if seen.slow is None else None
    if measured and measured > policy.slow_ms and seen.requests >= policy.min_requests:
        return f"p99 of the challenger is {measured:.0f} ms, the limit is {policy.slow_ms:g} ms"
    return ""


def _over_limit(policy: RolloutPolicy, seen: Seen) -> str:
    for kind, count, limit in _shares(policy, seen):
        if count > limit * seen.requests:
            return _sentence(kind, count, seen.requests, limit)
    return ""


def _shares(policy: RolloutPolicy, seen: Seen) -> list[tuple[str, int, float]]:
    shares = [("failed", seen.errors, policy.max_error_share)]
    if seen.slow is not None:
        shares.append((_SLOW, seen.slow, policy.max_slow_share))
    return shares


def _sentence(kind: str, count: int, requests: int, limit: float) -> str:
    return f"{count} of {requests} challenger requests {kind}, the limit is {limit:.1%}"
