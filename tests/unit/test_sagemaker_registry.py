"""Versions and aliases: what is written is read back, and what disagrees is an error."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest

from ml_pipeline.adapters.sagemaker.registry import SageMakerRegistry
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.registry import ModelVersion
from tests.fakes.aws import POLICY, Aws, Streamed, refused

GROUP_THERE = refused("ValidationException", "Model Package Group already exists: m")


class Group:
    """A group of packages; `meddle` is called after each update with what it was asked."""

    def __init__(self, count: int = 0) -> None:
        self.packages: dict[str, dict] = {}
        self.bodies: dict[str, bytes] = {}
        self.meddle = lambda **_: None
        self.aws = Aws(
            list_model_packages=self._listed,
            describe_model_package=lambda ModelPackageName: deepcopy(  # noqa: N803
                self.packages[ModelPackageName]
            ),
            create_model_package_group=self._group,
            create_model_package=self._made,
            update_model_package=self._updated,
            put_object=lambda **asked: self.bodies.update({asked["Key"]: asked["Body"].read()}),
            list_objects_v2=lambda Prefix, **_: {  # noqa: N803
                "Contents": [{"Key": one} for one in self.bodies if one.startswith(Prefix)]
            },
            get_object=lambda Key, **_: {"Body": Streamed(self.bodies[Key], [])},  # noqa: N803
        )
        self.registry = SageMakerRegistry(self.aws, POLICY, self.aws.clock)
        for number in range(1, count + 1):
            self._made(CustomerMetadataProperties=held(number))

    def _group(self, **_: object) -> dict:
        raise GROUP_THERE

    def _listed(self, *, NextToken: str = "0", **_: object) -> dict:  # noqa: N803
        found, at = list(self.packages.values()), int(NextToken)
        more = {"NextToken": str(at + 1)} if at + 1 < len(found) else {}
        return {"ModelPackageSummaryList": found[at : at + 1], **more}

    def _made(self, **asked: object) -> dict:
        number = len(self.packages) + 1
        self.packages[f"arn:{number}"] = {
            "ModelPackageArn": f"arn:{number}",
            "ModelPackageGroupName": "m",
            "ModelPackageVersion": number,
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": datetime(2026, 1, number, tzinfo=UTC),
            **asked,
        }
        return {"ModelPackageArn": f"arn:{number}"}

    def _updated(self, *, ModelPackageArn: str, **asked: object) -> dict:  # noqa: N803
        one = self.packages[ModelPackageArn]
        entries = dict(one["CustomerMetadataProperties"])
        entries |= asked.pop("CustomerMetadataProperties", {})
        for key in asked.pop("CustomerMetadataPropertiesToRemove", ()):
            entries.pop(key)
        one |= {**asked, "CustomerMetadataProperties": entries}
        self.meddle(arn=ModelPackageArn, **asked)
        return {}

    def entries(self, number: int) -> dict[str, str]:
        return self.packages[f"arn:{number}"]["CustomerMetadataProperties"]

    def status(self, number: int) -> str:
        return self.packages[f"arn:{number}"]["ModelApprovalStatus"]


def held(number: int) -> dict[str, str]:
    return {"run_id": f"run-{number}", "digest": "0" * 64, "uri": f"s3://b/{number}"}


def test_an_alias_moves_to_one_version_and_approves_the_champion():
    group = Group(3)
    for version in ("1", "3", "2"):
        group.registry.set_alias("m", "champion", version)
        assert group.registry.champion("m").version == version
    assert [number for number in (1, 2, 3) if "alias.champion" in group.entries(number)] == [2]
    group.registry.set_alias("m", "challenger", "1")
    assert group.registry.champion("m").version == "2"
    assert [group.status(number) for number in (1, 2, 3)] == ["Approved"] * 3


def test_another_alias_than_the_champions_approves_nothing():
    group = Group(1)
    group.registry.set_alias("m", "challenger", "1")
    assert group.status(1) == "PendingManualApproval"
    assert group.registry.champion("m") is None
    group.registry.clear_alias("m", "challenger")
    assert group.registry.versions("m")[0].aliases == frozenset()


def test_an_alias_that_another_program_moves_meanwhile_is_an_error():
    group = Group(2)

    def meddle(*, arn: str, **_: object) -> None:
        if arn == "arn:1":
            group.entries(2)["alias.champion"] = "9999"

    group.meddle = meddle
    with pytest.raises(PlatformUnavailableError, match="alias champion of m reads 2 after"):
        group.registry.set_alias("m", "champion", "1")


@pytest.mark.parametrize("damage", [{"tag.verdict": "worse"}, {"tag.other": "x"}, {"digest": "1"}])
def test_entries_that_do_not_read_back_as_they_were_written_are_an_error(damage):
    group = Group(1)
    group.meddle = lambda **_: group.entries(1).update(damage)
    with pytest.raises(PlatformRefusedError, match="does not hold what was written"):
        group.registry.tag("m", "1", {"verdict": "better"})


def test_metrics_and_tags_leave_what_else_is_there():
    group = Group(1)
    group.registry.tag("m", "1", {"verdict": "better"})
    group.registry.store_metrics("m", "1", {"mae": 2.5})
    (one,) = group.registry.versions("m")
    assert (one.tags, one.metrics, one.run_id) == ({"verdict": "better"}, {"mae": 2.5}, "run-1")


def test_the_champion_is_not_archived_and_what_is_archived_is_no_version():
    group = Group(3)
    group.registry.set_alias("m", "champion", "2")
    group.registry.set_alias("m", "challenger", "1")
    with pytest.raises(PlatformRefusedError, match="is the champion"):
        group.registry.archive("m", "2")
    group.registry.archive("m", "1")
    assert group.status(1) == "Rejected"
    assert "alias.challenger" not in group.entries(1)
    assert "archived_at" in group.entries(1)
    assert [one.version for one in group.registry.versions("m")] == ["3", "2"]
    with pytest.raises(PlatformRefusedError, match="no version 1"):
        group.registry.set_alias("m", "champion", "1")


@pytest.mark.parametrize("key", ["run_id", "digest", "uri"])
def test_a_champion_that_lacks_what_every_version_has_is_unreadable_and_not_none(key):
    group = Group(1)
    group.registry.set_alias("m", "champion", "1")
    del group.entries(1)[key]
    with pytest.raises(DataError, match=f"lacks {key}"):
        group.registry.champion("m")


def test_no_group_is_no_version():
    group = Group()

    def listed(**_: object) -> dict:
        raise refused("ValidationException", "ModelPackageGroup m does not exist.")

    group.aws.answer(list_model_packages=listed)
    assert group.registry.champion("m") is None
    assert group.registry.versions("m") == []


def bundle(folder, text: str = "model"):
    (folder / "bundle").mkdir(exist_ok=True)
    (folder / "bundle" / "model.onnx").write_text(text)
    return folder / "bundle"


def registered(group: Group, folder, run_id: str = "run-9") -> ModelVersion:
    return group.registry.register(
        "m", bundle(folder), run_id=run_id, metrics={"mae": 1.5}, tags={"commit": "abc"}
    )


def test_a_bundle_registered_again_by_its_run_is_the_same_version(tmp_path):
    group = Group(1)
    first = registered(group, tmp_path)
    assert (first.version, first.metrics, first.tags) == ("2", {"mae": 1.5}, {"commit": "abc"})
    assert registered(group, tmp_path) == first
    assert len(group.aws.of("create_model_package")) == 1
    group.registry.archive("m", "2")
    assert registered(group, tmp_path).version == "2"
    assert registered(group, tmp_path, run_id="run-10").version == "3"


def test_a_bundle_comes_back_as_it_was_registered_or_not_at_all(tmp_path):
    group = Group()
    version = registered(group, tmp_path)
    assert group.aws.of("create_model_package")[0]["ModelApprovalStatus"] == "PendingManualApproval"
    group.registry.fetch(version, tmp_path / "back")
    assert (tmp_path / "back" / "model.onnx").read_text() == "model"
    (key,) = group.bodies
    group.bodies[key] = b"edited"
    with pytest.raises(DataError, match="is not what was registered"):
        group.registry.fetch(version, tmp_path / "edited")
    assert not (tmp_path / "edited").exists()


def test_more_entries_than_a_package_takes_are_refused_before_anything_is_made(tmp_path):
    group = Group()
    with pytest.raises(ConfigurationError, match="SageMaker takes 50"):
        group.registry.register(
            "m", bundle(tmp_path), run_id="r", metrics={}, tags={str(at): "x" for at in range(60)}
        )
    assert group.aws.of("create_model_package") == []
