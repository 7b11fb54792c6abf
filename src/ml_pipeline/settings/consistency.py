"""Faults no single key shows: between keys, between sections, and in names that reach a command."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ml_pipeline.domain.evidence import Outcome
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import GatePolicy, MetricName, MetricPolicy
from ml_pipeline.domain.policies.release import LoadPolicy, NotifyPolicy, RolloutPolicy
from ml_pipeline.domain.policies.training import EnvironmentPolicy, Hyperparameter, TrainPolicy
from ml_pipeline.settings import commands
from ml_pipeline.settings.faults import did_you_mean
from ml_pipeline.settings.profiles import ADAPTED, Platform

#: Key, offending value (None: not worth showing), what is allowed.
Problem = tuple[tuple[str | int, ...], Any, str]

_INF = float("inf")
#: What a metric can be at all, by its definition.
NATURAL_RANGE: Mapping[MetricName, tuple[float, float]] = {
    MetricName.MAE: (0, _INF),
    MetricName.RMSE: (0, _INF),
    MetricName.MAPE: (0, _INF),
    MetricName.LOG_LOSS: (0, _INF),
    MetricName.R2: (-_INF, 1),
    MetricName.ACCURACY: (0, 1),
    MetricName.F1: (0, 1),
    MetricName.ROC_AUC: (0, 1),
}
#: As in `domain.metrics`, which brings numpy along.
LOWER_IS_BETTER = frozenset({MetricName.MAE, MetricName.RMSE, MetricName.MAPE, MetricName.LOG_LOSS})
_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXTRA = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_ENVIRONMENT_NAMES = {"groups": _EXTRA, "extras": _EXTRA, "pass_variables": _VARIABLE}


def problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is inconsistent in and between the sections that are valid by themselves."""
    for needs, check in _CHECKS:
        if all(name in sections for name in needs):
            yield from check(*(sections[name] for name in needs))
    for command, path, argv in commands.each(sections):
        for complaint in commands.complaints(command, argv):
            yield path, list(argv), complaint


def _platform(platform: Platform) -> Iterator[Problem]:
    if platform not in ADAPTED:
        listed = ", ".join(sorted(ADAPTED))
        yield ("platform",), platform, f"has no adapter yet; there is {listed}"


def _cloud(chosen: Platform, name: Platform, policy: Any) -> Iterator[Problem]:
    """What the section of the chosen cloud lacks; sections of others may be empty."""
    if chosen is name:
        for key, message in policy.lacking():
            yield (name.value, key), None, message


def _metric(metric: MetricPolicy) -> Iterator[Problem]:
    least, most = NATURAL_RANGE[metric.name]
    if metric.min < least:
        yield ("metric", "min"), metric.min, f"must be at least {least:g}: {metric.name} never is"
    if metric.max > most:
        message = f"must be at most {most:g}: {metric.name} is never greater"
        yield ("metric", "max"), metric.max, message


def _gate(metric: MetricPolicy, gate: GatePolicy) -> Iterator[Problem]:
    key = ("gate", "limit")
    if not metric.min <= gate.limit <= metric.max:
        message = f"must lie between metric.min {metric.min:g} and metric.max {metric.max:g}"
        yield key, gate.limit, message
        return
    lower = metric.name in LOWER_IS_BETTER
    if gate.limit == (metric.max if lower else metric.min):
        side = "below metric.max" if lower else "above metric.min"
        message = f"lets every believable {metric.name} through: it must be {side}"
        yield key, gate.limit, message


def _data(data: DataPolicy) -> Iterator[Problem]:
    for name, column in data.columns.items():
        if column.min is not None and column.max is not None and column.min > column.max:
            yield ("data", "columns", name, "min"), column.min, f"must be at most {column.max:g}"
    first, then = data.bootstrap_cutoff, data.cutoff
    if first and then and _utc(first) >= _utc(then):
        message = f"must be before data.cutoff, {then.isoformat()}"
        yield ("data", "bootstrap_cutoff"), first.isoformat(), message


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _rollout(rollout: RolloutPolicy, load: LoadPolicy) -> Iterator[Problem]:
    if rollout.hold_s > rollout.step_time_limit_s:
        message = f"must be at most rollout.step_time_limit_s, {rollout.step_time_limit_s:g}"
        yield ("rollout", "hold_s"), rollout.hold_s, message
    if rollout.poll_s >= rollout.lease_s:
        message = f"must be less than rollout.lease_s, {rollout.lease_s:g}: it renews the lease"
        yield ("rollout", "poll_s"), rollout.poll_s, message
    rate = min(rollout.replay_rate_per_s, load.rate_per_s) * rollout.steps_pct[0] / 100
    if 0 < rate * rollout.step_time_limit_s < rollout.min_requests:
        most = int(rate * rollout.step_time_limit_s)
        message = f"must be at most {most}: replay brings no more within a step's time limit"
        yield ("rollout", "min_requests"), rollout.min_requests, message


def _notify(notify: NotifyPolicy) -> Iterator[Problem]:
    known = [outcome.value for outcome in Outcome]
    for position, name in enumerate(notify.on):
        if name not in known:
            hint = did_you_mean(name, known)
            yield ("notify", "on", position), name, f"must be one of {', '.join(known)}{hint}"


def _left_in_output(train: TrainPolicy) -> Iterator[Problem]:
    for key in ("artifact", "metrics"):
        name = getattr(train, key)
        if not stays_inside(name):
            yield ("train", key), name, "must be a path inside {output}"
    yield from _options(("train", "smoke_hyperparameters"), train.smoke_hyperparameters)


def _hyperparameters(values: Mapping[str, Hyperparameter]) -> Iterator[Problem]:
    yield from _options(("hyperparameters",), values)


def _options(above: tuple[str, ...], values: Mapping[str, Hyperparameter]) -> Iterator[Problem]:
    for name in values:
        if not _OPTION.fullmatch(name):
            message = "a hyperparameter's name begins with a letter and has no spaces"
            yield (*above, name), None, message


def _environment(environment: EnvironmentPolicy) -> Iterator[Problem]:
    python = environment.python
    if python is not None and (not python.strip() or python.startswith("-")):
        yield ("environment", "python"), python, "must be a version such as 3.12"
    for key, pattern in _ENVIRONMENT_NAMES.items():
        for position, name in enumerate(getattr(environment, key)):
            if not pattern.fullmatch(name):
                yield ("environment", key, position), name, f"must match {pattern.pattern}"
    for name in environment.variables:
        if not _VARIABLE.fullmatch(name):
            yield ("environment", "variables", name), None, f"must match {_VARIABLE.pattern}"


def stays_inside(name: str) -> bool:
    """Whether a relative path names something below where it starts, on any system.

    >>> stays_inside("models/a.onnx"), stays_inside("../a"), stays_inside("/a"), stays_inside("")
    (True, False, False, False)
    """
    windows = PureWindowsPath(name)
    rooted = PurePosixPath(name).is_absolute() or bool(windows.drive or windows.root)
    return bool(windows.parts) and not rooted and ".." not in windows.parts


_CHECKS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[Problem]]], ...] = (
    (("platform",), _platform),
    (("platform", "azureml"), lambda at, policy: _cloud(at, Platform.AZUREML, policy)),
    (("platform", "vertex"), lambda at, policy: _cloud(at, Platform.VERTEX, policy)),
    (("platform", "sagemaker"), lambda at, policy: _cloud(at, Platform.SAGEMAKER, policy)),
    (("environment",), _environment),
    (("data",), _data),
    (("train",), _left_in_output),
    (("hyperparameters",), _hyperparameters),
    (("metric",), _metric),
    (("metric", "gate"), _gate),
    (("rollout", "load"), _rollout),
    (("notify",), _notify),
)
