"""An endpoint that changes too long, loses instances, or does not take what it was asked for."""

from datetime import UTC, datetime

import pytest

from ml_pipeline.adapters.sagemaker.endpoint import Endpoint, Variant
from ml_pipeline.adapters.sagemaker.host import SageMakerHost
from ml_pipeline.adapters.sagemaker.proxy import SigningProxy
from ml_pipeline.adapters.sagemaker.router import SageMakerRouter
from ml_pipeline.domain.errors import (
    BusyError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from tests.fakes.aws import POLICY, Aws, refused

ROLLOUT = {
    "ml-pipeline:rollout-run": "run-1",
    "ml-pipeline:rollout-until": "2026-01-05T09:00:00+00:00",
    "ml-pipeline:rollout-lease-s": "3600.0",
    "ml-pipeline:rollout-fallback": "v1:100",
}


class Fleet:
    """An endpoint of SageMaker with `v1` and `v2`, and calls that do what a test says."""

    def __init__(self, **changed: object) -> None:
        self.status = "InService"
        self.variants = {"v1": [100.0, 1], "v2": [0.0, 2]}
        self.tags: dict[str, str] = {}
        self.aws = Aws(
            describe_endpoint=lambda **_: self.described(),
            describe_endpoint_config=lambda **_: {
                "ProductionVariants": [
                    {"VariantName": name, "ModelName": f"m-{name}"} for name in self.variants
                ]
            },
            describe_model=lambda ModelName: {  # noqa: N803 - as botocore names it
                "ModelArn": ModelName, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            },
            update_endpoint_weights_and_capacities=self.weigh,
            list_tags=lambda **_: {
                "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]
            },
        )  # fmt: skip
        self.aws.answer(**changed)
        policy = POLICY.model_copy(update={"change_limit_s": 600})
        self.endpoint = Endpoint("shop", self.aws, policy, self.aws.clock)
        self.router = SageMakerRouter(self.endpoint, SigningProxy(self.aws))
        self.host = SageMakerHost(self.endpoint, SigningProxy(self.aws), guarded=True)

    def described(self) -> dict:
        variants = [
            {"VariantName": name, "CurrentWeight": weight, "CurrentInstanceCount": count}
            for name, (weight, count) in self.variants.items()
        ]
        return {
            "EndpointArn": "arn",
            "EndpointStatus": self.status,
            "EndpointConfigName": "shop-1",
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "ProductionVariants": variants,
        }

    def weigh(self, *, DesiredWeightsAndCapacities: list[dict], **_: object) -> dict:  # noqa: N803
        for one in DesiredWeightsAndCapacities:
            count = one.get("DesiredInstanceCount", 0)
            self.variants[one["VariantName"]] = [one["DesiredWeight"], count]
        return {}


def test_weights_are_sent_for_every_slot_with_its_instances_and_read_back():
    fleet = Fleet()
    fleet.router.set_weights({"v1": 75, "v2": 25})
    assert fleet.variants == {"v1": [75.0, 1], "v2": [25.0, 2]}
    assert fleet.router.weights() == {"v1": 75, "v2": 25}


def test_weights_that_are_there_already_are_not_written():
    fleet = Fleet()
    fleet.router.set_weights({"v1": 100})
    assert fleet.aws.of("update_endpoint_weights_and_capacities") == []


def test_weights_that_do_not_arrive_are_an_error():
    fleet = Fleet(update_endpoint_weights_and_capacities=lambda **_: {})
    with pytest.raises(PlatformRefusedError, match=r"was asked for .* and has \{'v1': 100\}"):
        fleet.router.set_weights({"v1": 90, "v2": 10})


def test_instances_that_are_lost_while_weights_are_set_are_an_error():
    fleet = Fleet()

    def weigh(**asked: object) -> dict:
        fleet.weigh(**asked)
        fleet.variants["v2"][1] = 1
        return {}

    fleet.aws.answer(update_endpoint_weights_and_capacities=weigh)
    with pytest.raises(PlatformRefusedError, match="lost instances"):
        fleet.router.set_weights({"v1": 90, "v2": 10})


def test_a_slot_that_is_not_there_gets_no_traffic():
    fleet = Fleet()
    with pytest.raises(PlatformRefusedError, match="has no slot v3"):
        fleet.router.set_weights({"v1": 90, "v3": 10})
    assert fleet.aws.of("update_endpoint_weights_and_capacities") == []


def test_an_endpoint_that_changes_longer_than_its_limit_is_unavailable():
    fleet = Fleet()

    def described(**_: object) -> dict:
        assert len(fleet.aws.asked) < 999, "it is asked for ever"
        return fleet.described()

    fleet.aws.answer(describe_endpoint=described)
    fleet.status = "Updating"
    with pytest.raises(PlatformUnavailableError, match="still Updating after 600 s"):
        fleet.endpoint.settled()
    assert 600 < fleet.aws.clock.monotonic() < 630
    assert len(fleet.aws.of("describe_endpoint")) < 70


def test_no_endpoint_is_none_to_look_at_and_an_error_to_change():
    fleet = Fleet(
        describe_endpoint=lambda **_: (_ for _ in ()).throw(
            refused("ValidationException", 'Could not find endpoint "arn".')
        )
    )
    assert fleet.endpoint.seen() is None
    assert fleet.router.weights() == {}
    assert fleet.router.rollout() is None
    assert fleet.host.list() == []
    assert not fleet.host.health("v1")
    for change in (
        lambda: fleet.router.set_weights({"v1": 100}),
        lambda: fleet.router.renew("run-1"),
        lambda: fleet.host.target("v1"),
    ):
        with pytest.raises(PlatformRefusedError, match=r"no endpoint|is gone|no slot"):
            change()


def test_a_lease_of_another_run_is_respected_until_it_runs_out():
    fleet = Fleet()
    fleet.tags = dict(ROLLOUT)
    with pytest.raises(BusyError, match="run run-1 moves traffic"):
        fleet.router.hold("run-2", fallback={"v1": 100}, lease_s=60)
    with pytest.raises(PlatformRefusedError, match="run run-1 holds the lease now"):
        fleet.router.commit("run-2")
    with pytest.raises(PlatformRefusedError, match="run run-1 holds the lease now"):
        fleet.router.renew("run-2")


@pytest.mark.parametrize("key", [key for key in ROLLOUT if not key.endswith("run")])
def test_tags_that_are_no_lease_are_told_and_not_taken_for_none(key):
    fleet = Fleet()
    for damage in ({}, {key: "nonsense"}):
        fleet.tags = {name: text for name, text in ROLLOUT.items() if name != key} | damage
        with pytest.raises(PlatformRefusedError, match="cannot be read"):
            fleet.router.rollout()


@pytest.mark.parametrize("what", ["deploy", "remove"])
@pytest.mark.parametrize(("slot", "words"), [("v1", "gets traffic"), ("v2", "would give traffic")])
def test_a_slot_that_serves_or_would_serve_again_is_left_alone(tmp_path, slot, words, what):
    fleet = Fleet()
    fleet.tags = ROLLOUT | {"ml-pipeline:rollout-fallback": "v2:100"}
    (tmp_path / "model").write_bytes(b"model")
    change = {
        "remove": lambda: fleet.host.remove(slot),
        "deploy": lambda: fleet.host.deploy(slot, Version(), tmp_path),
    }[what]
    with pytest.raises(PlatformRefusedError, match=words):
        change()
    assert {name for name, _ in fleet.aws.asked} <= {
        "describe_endpoint", "describe_endpoint_config", "list_tags",
    }  # fmt: skip


class Version:
    """What `deploy` reads of a version."""

    model, version, run_id = "shop", "3", "run-3"


@pytest.mark.parametrize(
    ("status", "count", "healthy"),
    [
        ("InService", 1, True),
        ("InService", 0, False),
        ("Updating", 1, True),
        ("OutOfService", 1, False),
        ("Failed", 1, False),
        ("Deleting", 1, False),
    ],
)
def test_a_slot_is_healthy_when_its_endpoint_serves_and_it_has_instances(status, count, healthy):
    fleet = Fleet()
    fleet.status, fleet.variants["v2"][1] = status, count
    assert fleet.host.health("v2") is healthy
    assert [one.healthy for one in fleet.host.list() if one.slot == "v2"] == [healthy]


def test_a_slot_awaited_is_not_healthy_while_the_endpoint_changes_or_serves_what_was_there():
    fleet = Fleet()
    fleet.host._awaited["v2"] = "m-v2"
    fleet.status = "Updating"
    assert not fleet.host.health("v2")
    fleet.status = "InService"
    assert fleet.host.health("v2")
    fleet.host._awaited["v2"] = "m-newer"
    assert not fleet.host.health("v2")


def test_a_drill_is_refused(tmp_path):
    with pytest.raises(PlatformRefusedError, match="no drills"):
        Fleet().host.deploy("v2", Version(), tmp_path, chaos="errors=0.5")


@pytest.mark.parametrize("limit_s", [60, 300])
def test_an_old_fleet_that_is_kept_longer_than_a_change_may_take_is_refused(limit_s):
    policy = POLICY.model_copy(update={"change_limit_s": limit_s})
    assert dict(policy.lacking()).keys() == {"baking_s"}
    assert not list(policy.model_copy(update={"baking_s": 0}).lacking())


def variant(slot: str, model: str) -> Variant:
    return Variant(slot=slot, model=model, weight=100.0, instances=1)


def test_what_nothing_uses_any_more_is_removed_and_what_serves_is_kept():
    old = "shop-0123456789ab"
    configs = {
        "shop-1": ["m-v1", "m-v2"], old: ["m-v1", "m-gone"],
        # Other endpoints', whose names hold this one's.
        "my-shop-0123456789ab": ["my-v1"], "shop-staging-0123456789ab": ["staging-v1"],
    }  # fmt: skip
    fleet = Fleet(
        list_endpoint_configs=lambda **_: {
            "EndpointConfigs": [{"EndpointConfigName": name} for name in configs]
        },
        delete_endpoint_config=lambda **_: {},
        delete_model=lambda **_: {},
        create_endpoint_config=lambda **_: {},
        put_metric_alarm=lambda **_: {},
        describe_alarms=lambda **_: {"MetricAlarms": []},
        update_endpoint=lambda **_: {},
    )
    made: list[str] = []

    def config(*, EndpointConfigName: str) -> dict:  # noqa: N803 - as botocore names it
        if EndpointConfigName not in configs:
            raise refused("ValidationException", "Could not find it.")
        models = configs[EndpointConfigName]
        return {
            "ProductionVariants": [
                {"VariantName": f"v{at}", "ModelName": name} for at, name in enumerate(models, 1)
            ]
        }

    fleet.aws.answer(describe_endpoint_config=config)
    fleet.endpoint.apply([variant("v1", "m-v1"), variant("v2", "m-v2")], fleet.endpoint.seen())
    made += [one["EndpointConfigName"] for one in fleet.aws.of("create_endpoint_config")]
    assert len(made) == 1
    assert fleet.aws.of("delete_endpoint_config") == [{"EndpointConfigName": old}]
    assert fleet.aws.of("delete_model") == [{"ModelName": "m-gone"}]


def test_the_guard_of_a_change_is_one_that_awss_own_model_allows():
    from ml_pipeline.adapters.sagemaker.alarms import guard
    from tests.emulators.sagemaker_spec import MODEL, faults

    shape = MODEL.operation_model("UpdateEndpoint").input_shape
    for limit_s in (400, 3600, 99999):
        sent = guard(["a"], POLICY.model_copy(update={"change_limit_s": limit_s}))
        asked = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": sent}
        assert list(faults(shape, asked, "UpdateEndpoint")) == []
        policy = sent["BlueGreenUpdatePolicy"]
        assert policy["TerminationWaitInSeconds"] == 300
        assert policy["MaximumExecutionTimeoutInSeconds"] == min(max(limit_s, 600), 28800)


def test_alarms_actions_are_addresses_of_aws_and_no_more_than_it_takes():
    for wrong in (("pager",), ("arn:aws:sns:us-east-1:123456789012:t",) * 6):
        with pytest.raises(ValueError, match="alarm_actions"):
            type(POLICY)(alarm_actions=wrong)
