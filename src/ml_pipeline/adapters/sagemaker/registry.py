"""Versions of models as model packages in a group, their bundles in S3."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients, utc
from ml_pipeline.adapters.sagemaker.files import Bucket, arriving, split_uri, tree_digest
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from ml_pipeline.ports.registry import ModelRegistry

_METRIC, _TAG, _ALIAS = "metric.", "tag.", "alias."
_RUN, _DIGEST, _URI, _ARCHIVED = "run_id", "digest", "uri", "archived_at"
#: Approval: `Approved` is or was champion, `Rejected` is archived.
_APPROVED, _PENDING, _REJECTED = "Approved", "PendingManualApproval", "Rejected"
#: Source: MaxEntries of CustomerMetadataMap, SageMaker API reference.
_ENTRIES = 50


class SageMakerRegistry:
    """Speaks `ports.registry.ModelRegistry`.

    A group a model, a package a version. Aliases, metrics and tags are entries of a package's
    CustomerMetadataProperties. An alias holds the time it was set: it moves by being set at the
    new version first and taken from the old one afterwards, and in between the newer one counts.
    """

    def __init__(self, clients: Clients, policy: SageMakerPolicy, clock: Clock) -> None:
        self._clients = clients
        self._policy = policy
        self._clock = clock
        self._bucket = Bucket(clients, str(policy.bucket))
        self._prefix = policy.prefix.strip("/")

    def champion(self, model: str) -> ModelVersion | None:
        found = list(self._packages(model))
        holders = _holders(found)
        return next(
            (_version(one, holders) for one in found if holders.get(CHAMPION) == _number(one)),
            None,
        )

    def register(
        self,
        model: str,
        bundle: Path,
        *,
        run_id: str,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> ModelVersion:
        digest = tree_digest(bundle)
        packages = list(self._packages(model, archived=True))
        for one in packages:
            if (_properties(one).get(_RUN), _properties(one).get(_DIGEST)) == (run_id, digest):
                return _version(one, _holders(packages))
        key = f"{self._prefix}/registry/{model}/{digest}"
        self._bucket.upload_tree(bundle, key)
        with suppress(PlatformRefusedError):  # it is there already; if not, the next call says so
            self._clients.call(
                "sagemaker", "create_model_package_group", ModelPackageGroupName=model,
                Tags=names.tag_list({names.PROJECT: model}),
            )  # fmt: skip
        properties = {
            **{f"{_TAG}{name}": text for name, text in tags.items()},
            **_metric_entries(metrics),
            _RUN: run_id, _DIGEST: digest, _URI: self._bucket.uri(key),
        }  # fmt: skip
        arn = self._clients.call(
            "sagemaker", "create_model_package", **self._order(model, properties)
        )["ModelPackageArn"]
        return _version(self._described(arn), _holders(packages))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        packages = list(self._packages(model))
        chosen = _one(model, version, packages)
        now = self._clock.now().isoformat()
        # the time alone could tie with that of the version before: the larger one must be this
        latest = max((_properties(one).get(f"{_ALIAS}{alias}", "") for one in packages), default="")
        mark = now if now > latest else f"{latest}+"
        self._update(chosen, {f"{_ALIAS}{alias}": mark}, approve=alias == CHAMPION)
        for one in packages:
            if one is not chosen and f"{_ALIAS}{alias}" in _properties(one):
                self._update(one, {}, without=[f"{_ALIAS}{alias}"])
        holder = _holders(list(self._packages(model))).get(alias)
        if holder != version:
            raise PlatformUnavailableError(
                f"alias {alias} of {model} reads {holder} after it was set to {version}",
                remedy="Try again, with no other program changing the registry.",
            )

    def clear_alias(self, model: str, alias: str) -> None:
        for one in self._packages(model):
            if f"{_ALIAS}{alias}" in _properties(one):
                self._update(one, {}, without=[f"{_ALIAS}{alias}"])

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        one = _one(model, version, list(self._packages(model)))
        self._update(one, {f"{_TAG}{name}": text for name, text in tags.items()})

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        one = _one(model, version, list(self._packages(model)))
        self._update(one, _metric_entries(metrics))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        packages = list(self._packages(model))
        holders = _holders(packages)
        return [_version(one, holders) for one in packages]

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        bucket, key, _ = split_uri(version.uri)
        with arriving(target) as part:
            Bucket(self._clients, bucket).download_tree(key, part)
            digest = tree_digest(part)
            if digest != version.digest:
                raise DataError(
                    f"the bundle of {version.model} version {version.version} at {version.uri} is"
                    f" not what was registered: its digest is {digest}, not {version.digest}",
                    remedy="Restore it from a copy, or train and register again.",
                )
        return target

    def archive(self, model: str, version: str) -> None:
        packages = list(self._packages(model))
        one = _one(model, version, packages)
        if _holders(packages).get(CHAMPION) == version:
            raise PlatformRefusedError(
                f"{model} version {version} is the champion, so it is not archived",
                remedy="Make another version the champion first.",
            )
        aliases = [key for key in _properties(one) if key.startswith(_ALIAS)]
        self._update(one, {_ARCHIVED: self._clock.now().isoformat()}, without=aliases)
        self._clients.call(
            "sagemaker", "update_model_package", ModelPackageArn=one["ModelPackageArn"],
            ModelApprovalStatus=_REJECTED, ApprovalDescription="archived by the pipeline",
        )  # fmt: skip

    def _packages(self, model: str, *, archived: bool = False) -> Iterator[Any]:
        """Every package of the group in full, newest first; none where there is no group."""
        try:
            listed = list(
                self._clients.pages(
                    "sagemaker", "list_model_packages", "ModelPackageSummaryList",
                    ModelPackageGroupName=model, MaxResults=100,
                )
            )  # fmt: skip
        except AbsentError:
            return
        for one in sorted(listed, key=lambda one: int(one["ModelPackageVersion"]), reverse=True):
            if archived or one["ModelApprovalStatus"] != _REJECTED:
                yield self._described(one["ModelPackageArn"])

    def _described(self, arn: str) -> Any:
        return self._clients.call("sagemaker", "describe_model_package", ModelPackageName=arn)

    def _update(
        self, one: Any, added: Mapping[str, str], *, without: Sequence[str] = (),
        approve: bool = False,
    ) -> None:  # fmt: skip
        """Change entries of a package; others stay, whether AWS merges what it is sent or not."""
        properties = {
            key: text for key, text in {**_properties(one), **added}.items() if key not in without
        }
        entries = _entries(properties)
        before = one.get("CustomerMetadataProperties", {})
        gone = sorted(before.keys() - entries.keys())
        asked: dict[str, Any] = {"CustomerMetadataProperties": entries}
        if gone:
            asked["CustomerMetadataPropertiesToRemove"] = gone
        if approve:
            asked["ModelApprovalStatus"] = _APPROVED
        arn = one["ModelPackageArn"]
        self._clients.call("sagemaker", "update_model_package", ModelPackageArn=arn, **asked)
        found = self._described(arn)
        if _properties(found) != properties:
            raise PlatformRefusedError(
                f"{arn} does not hold what was written to it",
                remedy="Try again, with no other program changing the registry.",
            )
        one["CustomerMetadataProperties"] = entries

    def _order(self, model: str, properties: Mapping[str, str]) -> dict[str, Any]:
        source = {
            "S3Uri": f"{properties[_URI]}/",
            "S3DataType": "S3Prefix",
            "CompressionType": "None",
        }
        container = {
            "Image": str(self._policy.image),
            "ModelDataSource": {"S3DataSource": source},
        }
        content = json.dumps([model, properties], sort_keys=True)
        return {
            "ModelPackageGroupName": model,
            "ModelApprovalStatus": _PENDING,
            "InferenceSpecification": {
                "Containers": [container],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "CustomerMetadataProperties": _entries(properties),
            # an answer that was lost must not make a second version
            "ClientToken": names.digest_of_text(content)[:36],
        }


def _properties(one: Mapping[str, Any]) -> dict[str, str]:
    return names.gathered(one.get("CustomerMetadataProperties", {}))


def _entries(properties: Mapping[str, str]) -> dict[str, str]:
    entries = names.spread(properties)
    if len(entries) > _ENTRIES:
        raise ConfigurationError(
            f"a version would carry {len(entries)} entries, SageMaker takes {_ENTRIES}",
            remedy="Use fewer or shorter tags and metrics.",
        )
    return entries


def _number(one: Mapping[str, Any]) -> str:
    return str(one["ModelPackageVersion"])


def _one(model: str, version: str, packages: Sequence[Any]) -> Any:
    for one in packages:
        if _number(one) == version:
            return one
    raise PlatformRefusedError(
        f"the registry holds no version {version} of {model}",
        remedy="Choose a version that is there and not archived.",
    )


def _holders(packages: Sequence[Any]) -> dict[str, str]:
    """Version by alias: where two have one, it is moving, and the later mark counts."""
    marks = [
        (mark, key.removeprefix(_ALIAS), _number(one))
        for one in packages
        for key, mark in _properties(one).items()
        if key.startswith(_ALIAS)
    ]
    return {alias: version for _, alias, version in sorted(marks)}


def _version(one: Mapping[str, Any], holders: Mapping[str, str]) -> ModelVersion:
    properties, version = _properties(one), _number(one)
    model = str(one["ModelPackageGroupName"])
    lacking = [key for key in (_RUN, _DIGEST, _URI) if key not in properties]
    if lacking:
        raise DataError(
            f"{model} version {version} lacks {lacking[0]}: it was not registered by the pipeline",
            remedy="Give the alias to a version the pipeline registered.",
        )
    return ModelVersion(
        model=model,
        version=version,
        uri=properties[_URI],
        digest=properties[_DIGEST],
        run_id=properties[_RUN],
        created_at=utc(one["CreationTime"]),
        metrics={
            key.removeprefix(_METRIC): _finite(f"{model} version {version}", key, text)
            for key, text in properties.items()
            if key.startswith(_METRIC)
        },
        tags={
            key.removeprefix(_TAG): text for key, text in properties.items() if key.startswith(_TAG)
        },
        aliases=frozenset(alias for alias, holder in holders.items() if holder == version),
    )


def _finite(where: str, key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(
            f"{where}: {key} = {text!r} is no finite number",
            remedy=f"Set {key} to the metric the version was promoted on.",
        )
    return number


def _metric_entries(metrics: Mapping[str, float]) -> dict[str, str]:
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise DataError(
            f"the metric {bad[0]} = {metrics[bad[0]]} is not finite, so it is not stored",
            remedy="Find out why it could not be computed.",
        )
    return {f"{_METRIC}{name}": repr(float(value)) for name, value in metrics.items()}


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = SageMakerRegistry
