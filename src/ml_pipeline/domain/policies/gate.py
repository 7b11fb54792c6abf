"""The metric that decides, the verdict's rule, and when training is due at all."""

from enum import StrEnum
from typing import Self

from pydantic import Field, FiniteFloat, model_validator

from ml_pipeline.domain.policies.base import NotNegative, Policy, Positive, Share


class Direction(StrEnum):
    """Which way a metric gets better."""

    LOWER = "lower"
    HIGHER = "higher"


class MetricName(StrEnum):
    """Metrics the pipeline computes itself on the hold-out."""

    MAE = "mae"
    RMSE = "rmse"
    MAPE = "mape"
    R2 = "r2"
    ACCURACY = "accuracy"
    F1 = "f1"
    ROC_AUC = "roc_auc"
    LOG_LOSS = "log_loss"


class MetricPolicy(Policy):
    """`[metric]`: what decides. `min` and `max` bound what is believed, not what is good."""

    #: the metric the pipeline computes on held-out rows
    name: MetricName
    #: the least value that is believed
    min: FiniteFloat
    #: the greatest value that is believed
    max: FiniteFloat
    #: name of the same metric in the training's own metrics file, compared and reported
    reported_as: str | None = None
    #: what a prediction may be at all
    prediction_min: FiniteFloat
    #: the greatest a prediction may be
    prediction_max: FiniteFloat

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"'min' {self.min} is not below 'max' {self.max}")
        if self.prediction_min >= self.prediction_max:
            raise ValueError("'prediction_min' is not below 'prediction_max'")
        return self


class GateRule(StrEnum):
    """`non-inferior` lets ties pass and names them; `superior` does not."""

    NON_INFERIOR = "non-inferior"
    SUPERIOR = "superior"


class GatePolicy(Policy):
    """`[gate]`: challenger against champion, and against the best version kept."""

    #: `non-inferior` lets ties pass and names them, `superior` does not
    rule: GateRule = GateRule.NON_INFERIOR
    #: non-inferior: how much worse is still let through, relative to the champion
    tolerance: Share = 0.05
    #: superior: how much better is asked for, relative to the champion
    improvement: Share = Field(default=0.01, gt=0)
    #: the first model of its name must be at least this good; an empty gate is an error
    limit: FiniteFloat
    #: fewer comparable rows than this are no evidence: inconclusive
    min_rows: int = Field(default=100, ge=10)


class DriftPolicy(Policy):
    """`[drift]`: population stability index against the champion's accepted baseline."""

    #: a column whose index is greater has drifted
    max_psi: Positive = 0.2
    #: histogram bins per column
    bins: int = Field(default=10, ge=2, le=100)
    #: fewer rows than this are no evidence of drift
    min_rows: int = Field(default=200, ge=10)


class RetrainPolicy(Policy):
    """`[retrain]`: when training is due, and the guard against paying twice."""

    #: a champion older than this is retrained although nothing changed
    max_age_h: Positive = 168
    #: no second training within this time, unless forced
    guard_h: NotNegative = 12
