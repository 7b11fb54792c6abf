"""The evidence model: what every stage leaves behind, and what a run concludes from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from ml_pipeline.domain.outcomes import EXIT_CODES, Outcome, Status

#: What is defined elsewhere and belongs to the evidence model all the same.
__all__ = [
    "EXIT_CODES", "SCHEMA_VERSION", "Artifact", "Check", "Outcome", "RunRecord", "Sha256",
    "StageOutcome", "StageResult", "Status", "judged",
]  # fmt: skip

SCHEMA_VERSION = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Evidence(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Evidence):
    """One question a stage asked, what it measured and the limit it held it against.

    `value` is None when nothing could be measured; such a check never passes.
    """

    name: str
    passed: bool
    value: FiniteFloat | str | None = None
    limit: FiniteFloat | str | None = None
    unit: str = ""
    message: str = ""


class Artifact(_Evidence):
    """A file a stage left; `path` is relative to the stage's own folder."""

    path: str
    sha256: Sha256
    bytes: int = Field(ge=0)


class StageResult(_Evidence):
    """The content of `result.json`.

    A pure stage's result carries no run id: a run adopts it and records in `adopted_from`
    where it came from. `values` holds what later stages read and is no verdict.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str | None
    stage: str
    attempt: int = Field(ge=1)
    status: Status
    outcome: str = ""
    message: str = ""
    remedy: str = ""
    exit_code: int | None = None
    started_at: datetime
    duration_s: float = Field(ge=0)
    inputs: dict[str, Sha256] = Field(default_factory=dict)
    checks: list[Check] = Field(default_factory=list)
    metrics: dict[str, FiniteFloat] = Field(default_factory=dict)
    artifacts: list[Artifact] = Field(default_factory=list)
    values: dict[str, JsonValue] = Field(default_factory=dict)
    adopted_from: str | None = None


class RunRecord(_Evidence):
    """One run as a report shows it: what was asked, what every stage said, what it came to.

    Stands in the run folder as `run.json`.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    project: str
    model: str
    platform: str
    profile: str
    trigger: str
    started_at: datetime
    duration_s: float = Field(ge=0)
    outcome: Outcome
    exit_code: int
    message: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    commit: str | None = None
    stages: list[StageResult] = Field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """What a stage's `run` returns; the pipeline turns it into a `StageResult` on disk.

    `artifacts` are files inside the stage's own folder. `remedy`: what to do about red checks.
    """

    status: Status
    outcome: str = ""
    message: str = ""
    remedy: str = ""
    checks: tuple[Check, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[Path, ...] = ()
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def judged(checks: tuple[Check, ...]) -> Status:
    """Passed when every check passed; failed otherwise, and when there was none at all.

    >>> judged(()).value
    'failed'
    """
    return Status.PASSED if checks and all(check.passed for check in checks) else Status.FAILED
