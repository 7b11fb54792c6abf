"""What the admin API takes and gives, in JSON."""

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from ml_pipeline.domain.errors import (
    BusyError,
    ConfigurationError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
    StorageError,
)
from ml_pipeline.localplatform.clock import as_text
from ml_pipeline.localplatform.records import DeploymentRecord, Phase

#: Our errors by HTTP status and by the word a client turns back into the same error.
KINDS: dict[type[PipelineError], tuple[int, str]] = {
    ConfigurationError: (400, "configuration"),
    PlatformRefusedError: (409, "refused"),
    BusyError: (423, "busy"),
    PlatformUnavailableError: (503, "unavailable"),
    StorageError: (507, "storage"),
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class DeploymentBody(_Body):
    """`PUT /v1/deployments/{endpoint}/{slot}`."""

    model: str
    version: str
    digest: str
    package: str
    chaos: str = ""
    trusted_types: list[str] = Field(default_factory=list)


class WeightsBody(_Body):
    """`PUT /v1/weights`."""

    weights: dict[str, JsonValue]
    run_id: str | None = None


class HoldBody(_Body):
    """`POST /v1/lease/hold`."""

    run_id: str = Field(min_length=1)
    fallback: dict[str, int]
    lease_s: float = Field(gt=0, le=86_400, allow_inf_nan=False)


class RunBody(_Body):
    """`POST /v1/lease/renew` and `/commit`."""

    run_id: str = Field(min_length=1)


class WindowQuery(BaseModel):
    """`GET /v1/windows/{slot}`."""

    start: AwareDatetime
    end: AwareDatetime
    slow_ms: float = Field(gt=0)


class EventsQuery(BaseModel):
    """`GET /v1/events`: those after an id, oldest first."""

    after: int = 0
    limit: int = Field(default=1000, ge=1, le=1000)


def shown(record: DeploymentRecord) -> dict[str, JsonValue]:
    """A deployment; its URL is empty while no process listens."""
    url = "" if record.port is None else f"http://127.0.0.1:{record.port}/invocations"
    return {
        "endpoint": record.endpoint,
        "slot": record.slot,
        "model": record.model,
        "version": record.version,
        "chaos": record.chaos,
        "state": record.phase,
        "healthy": record.phase is Phase.HEALTHY,
        "reason": record.reason,
        "url": url,
        "since": as_text(record.since_s),
    }


def refusal(exc: PipelineError) -> web.Response:
    """One of our errors as an answer."""
    status, kind = KINDS[type(exc)]
    body = {"error": kind, "message": str(exc), "remedy": exc.remedy}
    return web.json_response(body, status=status)
