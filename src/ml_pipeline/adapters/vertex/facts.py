"""What a version's `version_description` says: labels take no decimal point and no long text."""

from google.cloud.aiplatform_v1 import types
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from ml_pipeline.domain.errors import DataError


class Facts(BaseModel):
    """The content of `version_description`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    digest: str
    metrics: dict[str, FiniteFloat]
    tags: dict[str, str]
    archived_at: str | None = None


def facts_of(found: types.Model) -> Facts:
    """What a version says of itself.

    Raises:
        DataError: nothing the pipeline wrote.
    """
    try:
        return Facts.model_validate_json(found.version_description)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(
            f"{found.name} version {found.version_id}: its description cannot be read:"
            f" {where}: {first['msg']}",
            remedy="Give the alias to a version the pipeline registered.",
        ) from error
