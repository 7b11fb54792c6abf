"""Versions of models as model packages in a group, their bundles in S3."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients
from ml_pipeline.adapters.sagemaker.entries import (
    ALIAS,
    ARCHIVED,
    DIGEST,
    METRIC,
    RUN,
    TAG,
    URI,
    entries_of,
    holders_of,
    number_of,
    one_of,
    properties_of,
    version_of,
)
from ml_pipeline.adapters.sagemaker.files import Bucket, arriving, split_uri, tree_digest
from ml_pipeline.domain.errors import (
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.domain.stored_metrics import metric_entries
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from ml_pipeline.ports.registry import ModelRegistry

#: Approval: `Approved` is or was champion, `Rejected` is archived.
_APPROVED, _PENDING, _REJECTED = "Approved", "PendingManualApproval", "Rejected"


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
        holders = holders_of(found)
        return next(
            (version_of(one, holders) for one in found if holders.get(CHAMPION) == number_of(one)),
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
            if (properties_of(one).get(RUN), properties_of(one).get(DIGEST)) == (run_id, digest):
                return version_of(one, holders_of(packages))
        key = f"{self._prefix}/registry/{model}/{digest}"
        self._bucket.upload_tree(bundle, key)
        with suppress(PlatformRefusedError):  # it is there already; if not, the next call says so
            self._clients.call(
                "sagemaker", "create_model_package_group", ModelPackageGroupName=model,
                Tags=names.tag_list({names.PROJECT: model}),
            )  # fmt: skip
        properties = {
            **{f"{TAG}{name}": text for name, text in tags.items()},
            **metric_entries(metrics, prefix=METRIC),
            RUN: run_id, DIGEST: digest, URI: self._bucket.uri(key),
        }  # fmt: skip
        arn = self._clients.call(
            "sagemaker", "create_model_package", **self._order(model, properties)
        )["ModelPackageArn"]
        return version_of(self._described(arn), holders_of(packages))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        packages = list(self._packages(model))
        chosen = one_of(model, version, packages)
        now = self._clock.now().isoformat()
        # the time alone could tie with that of the version before: the larger one must be this
        latest = max(
            (properties_of(one).get(f"{ALIAS}{alias}", "") for one in packages), default=""
        )
        mark = now if now > latest else f"{latest}+"
        self._update(chosen, {f"{ALIAS}{alias}": mark}, approve=alias == CHAMPION)
        for one in packages:
            if one is not chosen and f"{ALIAS}{alias}" in properties_of(one):
                self._update(one, {}, without=[f"{ALIAS}{alias}"])
        holder = holders_of(list(self._packages(model))).get(alias)
        if holder != version:
            raise PlatformUnavailableError(
                f"alias {alias} of {model} reads {holder} after it was set to {version}",
                remedy="Try again, with no other program changing the registry.",
            )

    def clear_alias(self, model: str, alias: str) -> None:
        for one in self._packages(model):
            if f"{ALIAS}{alias}" in properties_of(one):
                self._update(one, {}, without=[f"{ALIAS}{alias}"])

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        one = one_of(model, version, list(self._packages(model)))
        self._update(one, {f"{TAG}{name}": text for name, text in tags.items()})

    def store_metrics(self, model: str, version: str, metrics: Mapping[str, float]) -> None:
        one = one_of(model, version, list(self._packages(model)))
        self._update(one, metric_entries(metrics, prefix=METRIC))

    def versions(self, model: str) -> Sequence[ModelVersion]:
        packages = list(self._packages(model))
        holders = holders_of(packages)
        return [version_of(one, holders) for one in packages]

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
        one = one_of(model, version, packages)
        if holders_of(packages).get(CHAMPION) == version:
            raise PlatformRefusedError(
                f"{model} version {version} is the champion, so it is not archived",
                remedy="Make another version the champion first.",
            )
        aliases = [key for key in properties_of(one) if key.startswith(ALIAS)]
        self._update(one, {ARCHIVED: self._clock.now().isoformat()}, without=aliases)
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
            key: text for key, text in {**properties_of(one), **added}.items() if key not in without
        }
        entries = entries_of(properties)
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
        if properties_of(found) != properties:
            raise PlatformRefusedError(
                f"{arn} does not hold what was written to it",
                remedy="Try again, with no other program changing the registry.",
            )
        one["CustomerMetadataProperties"] = entries

    def _order(self, model: str, properties: Mapping[str, str]) -> dict[str, Any]:
        source = {
            "S3Uri": f"{properties[URI]}/",
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
            "CustomerMetadataProperties": entries_of(properties),
            # an answer that was lost must not make a second version
            "ClientToken": names.digest_of_text(content)[:36],
        }


if TYPE_CHECKING:
    _speaks: type[ModelRegistry] = SageMakerRegistry
