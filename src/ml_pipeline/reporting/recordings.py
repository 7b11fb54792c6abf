"""What stages recorded besides their results, as far as it is there and can be read."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ml_pipeline.domain.evidence import RunRecord
from ml_pipeline.reporting.cleaning import each_text, masked, visible
from ml_pipeline.reporting.story import newest


class _Recording(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Second(_Recording):
    """One second of a load test; latencies are None when nothing came back in it."""

    second: int
    requests: int = Field(ge=0)
    errors: int = Field(ge=0)
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class Load(_Recording):
    """`load.json`: a `ports.load.LoadReport` and the curve of its histogram.

    `percentiles` holds (quantile 0-1, milliseconds), rising.
    """

    planned: int = Field(ge=0)
    sent: int = Field(ge=0)
    errors: int = Field(ge=0)
    duration_s: FiniteFloat
    p50_ms: FiniteFloat
    p90_ms: FiniteFloat
    p99_ms: FiniteFloat
    max_ms: FiniteFloat
    lag_p99_ms: FiniteFloat
    percentiles: tuple[tuple[FiniteFloat, FiniteFloat], ...] = ()
    timeline: tuple[Second, ...] = ()
    errors_by_kind: tuple[tuple[str, int], ...] = ()


class Event(_Recording):
    """Something that happened in a rollout, `at_s` after its start; `weights` when they moved."""

    at_s: FiniteFloat
    event: str
    weights: dict[str, FiniteFloat] | None = None
    message: str = ""

    def share_pct(self, slot: str) -> float | None:
        """The slot's share of the traffic from here on; None when nothing moved."""
        return None if not self.weights else self.weights.get(slot, 0.0)


class Sample(_Recording):
    """What one slot did since the sample before; None where the platform does not say."""

    at_s: FiniteFloat
    slot: str
    requests: int = Field(ge=0)
    errors: int = Field(ge=0)
    slow: int | None = None
    p99_ms: float | None = None


class Rollout(_Recording):
    """`rollout.json`: how traffic moved, and what was seen meanwhile."""

    challenger: str
    champion: str | None = None
    events: tuple[Event, ...] = ()
    samples: tuple[Sample, ...] = ()
    verdict: str = ""


class Predictions(_Recording):
    """`predictions.json`: held-out rows; all sequences have the length of `truth`."""

    truth: tuple[FiniteFloat, ...]
    challenger: tuple[FiniteFloat, ...]
    champion: tuple[FiniteFloat, ...] | None = None


_Kind = TypeVar("_Kind", bound=_Recording)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What the stages of a run left in its folder, masked and cleaned like the run itself."""

    run: RunRecord
    folder: Path
    secrets: tuple[str, ...] = ()

    def read(self, kind: type[_Kind], stage: str, name: str) -> tuple[_Kind | None, str]:
        """A stage's recording, or None and one sentence saying why there is none."""
        result = newest(self.run, stage)
        if result is None:
            return None, f"Not recorded: {stage} did not run."
        try:
            content = (self.folder / stage / str(result.attempt) / name).read_bytes()
        except OSError:
            return None, f"Not recorded: {stage} left no {name}."
        digests = {artifact.sha256 for artifact in result.artifacts if artifact.path == name}
        if digests and hashlib.sha256(content).hexdigest() not in digests:
            return None, f"Not shown: {stage}/{name} is not the file the evidence was written for."
        try:
            read = kind.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "JSON"
            return None, f"Not shown: {stage}/{name} cannot be read ({place}: {first['msg']})."
        return kind.model_validate(each_text(read.model_dump(mode="json"), self._clean)), ""

    def _clean(self, text: str) -> str:
        return visible(masked(text, self.secrets))
