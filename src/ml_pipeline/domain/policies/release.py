"""Staging, load, approval, rollout and what is kept afterwards."""

from enum import StrEnum
from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from ml_pipeline.domain.policies.base import Argv, NotNegative, Policy, Positive, Share


class StagingPolicy(Policy):
    """`[staging]`: the project's own integration tests, with `{endpoint}` and `{samples}`."""

    #: the project's own tests of a served model; may hold `{endpoint}`, `{samples}`
    integration_test: Argv | None = None
    #: requests those tests are asked to send
    samples: int = Field(default=100, ge=1)
    #: served predictions compared with offline ones
    smoke_predictions: int = Field(default=10, ge=1)
    #: seconds until a deployed model must be healthy
    health_time_limit_s: Positive = 120
    #: largest difference between a served and an offline prediction, relative to 1 + |value|
    tolerance: Positive = 1e-6


class LoadPolicy(Policy):
    """`[load]`: an open-model load test; every limit is a check."""

    #: requests a second, sent on schedule whatever the answers do
    rate_per_s: Positive = 50
    #: seconds the load lasts
    duration_s: Positive = 30
    #: milliseconds within which 99 % of requests must be answered
    max_p99_ms: Positive = 500
    #: share of requests that may fail
    max_error_share: Share = 0.01
    #: a request without an answer for this long has failed
    time_out_s: Positive = 5
    #: the generator's own lag (p99) beyond which a verdict is refused
    max_lag_ms: Positive = 50


class RiskTier(StrEnum):
    """How much harm a wrong model does; decides who approves."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ApprovalPolicy(Policy):
    """`[approval]`: the tiers in which a person approves before production."""

    #: how much harm a wrong model does
    risk_tier: RiskTier = RiskTier.LOW
    #: tiers in which a person approves before production
    manual_tiers: tuple[RiskTier, ...] = (RiskTier.HIGH,)

    @property
    def by_hand(self) -> bool:
        """Whether this project's releases wait for a person."""
        return self.risk_tier in self.manual_tiers


class RolloutPolicy(Policy):
    """`[rollout]`: the steps, how long each is watched, and what counts as harm.

    A step ends when `hold_s` has passed and `min_requests` challenger requests were seen;
    with `hold_s` 0 the requests alone decide, within `step_time_limit_s`.
    """

    #: the challenger's share of traffic, step by step
    steps_pct: tuple[int, ...] = (10, 25, 50, 100)
    #: seconds a step is held at least
    hold_s: NotNegative = 600
    #: challenger requests a step needs at least
    min_requests: int = Field(default=300, ge=1)
    #: a step without enough requests by then is no evidence: rolled back
    step_time_limit_s: Positive = 1800
    #: seconds between two looks at the traffic
    poll_s: Positive = 5
    #: share of failed requests that is harm when exceeded
    max_error_share: Share = 0.01
    #: a request slower than this is slow
    slow_ms: Positive = 500
    #: share of slow requests that is harm when exceeded
    max_slow_share: Share = 0.01
    #: seconds after which the platform returns to the champion by itself; where it does not, on
    #: the clouds, a lease lasts as long as a change of weights may take, if that is more
    lease_s: Positive = Field(default=30, le=86_400)
    #: requests a second replayed from held-out rows while rolling out, at most the
    #: `load.rate_per_s` that staging was measured at; 0: users bring traffic
    replay_rate_per_s: NotNegative = 0

    @model_validator(mode="after")
    def _rising_to_all(self) -> Self:
        steps = self.steps_pct
        rising = all(low < high for low, high in pairwise(steps))
        if not steps or not rising or steps[0] <= 0 or steps[-1] != 100:
            raise ValueError(f"'steps_pct' must rise to 100, got {list(steps)}")
        return self


class RetentionPolicy(Policy):
    """`[retention]`: versions kept; the one that serves is never archived."""

    #: versions kept, the serving one included
    keep: int = Field(default=3, ge=1)


class NotifyPolicy(Policy):
    """`[notify]`: the webhook itself is a secret and comes by environment."""

    #: outcomes that are told; the webhook is a secret and comes by environment
    on: tuple[str, ...] = ("promoted", "rolled-back", "awaiting-approval", "error", "checks-red")
