"""What a model package carries of ours: entries of its CustomerMetadataProperties."""

from collections.abc import Mapping, Sequence
from typing import Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import utc
from ml_pipeline.domain.errors import ConfigurationError, DataError, PlatformRefusedError
from ml_pipeline.domain.stored_metrics import metrics_in
from ml_pipeline.ports.registry import ModelVersion

METRIC, TAG, ALIAS = "metric.", "tag.", "alias."
RUN, DIGEST, URI, ARCHIVED = "run_id", "digest", "uri", "archived_at"
#: Source: MaxEntries of CustomerMetadataMap, SageMaker API reference.
ENTRIES = 50


def properties_of(one: Mapping[str, Any]) -> dict[str, str]:
    """The pipeline's own entries of a package, whole and readable."""
    return names.gathered(one.get("CustomerMetadataProperties", {}))


def entries_of(properties: Mapping[str, str]) -> dict[str, str]:
    """Properties as the entries AWS takes.

    Raises:
        ConfigurationError: they are too many.
    """
    entries = names.spread(properties)
    if len(entries) > ENTRIES:
        raise ConfigurationError(
            f"a version would carry {len(entries)} entries, SageMaker takes {ENTRIES}",
            remedy="Use fewer or shorter tags and metrics.",
        )
    return entries


def number_of(one: Mapping[str, Any]) -> str:
    """A package's version."""
    return str(one["ModelPackageVersion"])


def one_of(model: str, version: str, packages: Sequence[Any]) -> Any:
    """The package of a version.

    Raises:
        PlatformRefusedError: it is not there.
    """
    for one in packages:
        if number_of(one) == version:
            return one
    raise PlatformRefusedError(
        f"the registry holds no version {version} of {model}",
        remedy="Choose a version that is there and not archived.",
    )


def holders_of(packages: Sequence[Any]) -> dict[str, str]:
    """Version by alias: where two have one, it is moving, and the later mark counts."""
    marks = [
        (mark, key.removeprefix(ALIAS), number_of(one))
        for one in packages
        for key, mark in properties_of(one).items()
        if key.startswith(ALIAS)
    ]
    return {alias: version for _, alias, version in sorted(marks)}


def version_of(one: Mapping[str, Any], holders: Mapping[str, str]) -> ModelVersion:
    """A package as a version.

    Raises:
        DataError: the pipeline did not register it, or a metric is no finite number.
    """
    properties, version = properties_of(one), number_of(one)
    model = str(one["ModelPackageGroupName"])
    lacking = [key for key in (RUN, DIGEST, URI) if key not in properties]
    if lacking:
        raise DataError(
            f"{model} version {version} lacks {lacking[0]}: it was not registered by the pipeline",
            remedy="Give the alias to a version the pipeline registered.",
        )
    return ModelVersion(
        model=model,
        version=version,
        uri=properties[URI],
        digest=properties[DIGEST],
        run_id=properties[RUN],
        created_at=utc(one["CreationTime"]),
        metrics=metrics_in(properties, prefix=METRIC, where=f"{model} version {version}"),
        tags={
            key.removeprefix(TAG): text for key, text in properties.items() if key.startswith(TAG)
        },
        aliases=frozenset(alias for alias, holder in holders.items() if holder == version),
    )
