"""Deployments on an emulated Vertex AI whose beginner is gone: known, and taken away."""

from pathlib import Path

import pytest

from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.registry import CHAMPION
from ml_pipeline.session.restoring import restore_traffic
from tests.emulators.vertex_cases import VertexWorld, parts_of, serving
from tests.fakes.platforms import eventually

pytestmark = pytest.mark.e2e
_FOREVER_S = 3600


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("world"), "c1") as made:
        yield made


@pytest.fixture
def world(shared):
    yield shared
    shared.emulator.faults.clear()
    shared.emulator.latency_s = 0.05
    for one in shared.production.list():
        if one.slot != "c1":
            shared.production.remove(one.slot)
    assert list(shared.emulator.endpoints.servers) == [_of(shared, "c1")]


def _of(world, slot: str) -> tuple[str, str]:
    """What the emulator knows a deployment of production by."""
    (key,) = (
        (endpoint.name, one.id)
        for endpoint in world.emulator.endpoints.endpoints.values()
        for one in endpoint.deployed_models
        if one.display_name == slot
    )
    return key


def begun(world, slot: str, *, takes_s: float = _FOREVER_S, host: str = "production") -> None:
    """A deployment whose process is killed as soon as it began."""
    version, package = world.version("1")
    beginner = parts_of(world.emulator, world.folder)
    dead = beginner.production_host if host == "production" else beginner.staging_host
    dead._endpoint(slot).made()  # nothing but the deployment waits
    world.emulator.latency_s = takes_s
    dead.deploy(slot, version, package)
    world.emulator.latency_s = 0.05


def running(world) -> list[str]:
    """Operations that have not ended."""
    known = world.emulator.operations.pending
    return [name for name, one in known.items() if not one["operation"].done]


def fresh(world, **more):
    """The adapters of a machine that began nothing."""
    return parts_of(world.emulator, world.folder, **more)


def test_a_slot_another_machine_deploys_is_being_deployed(world):
    begun(world, "c2")
    host = fresh(world).production_host
    assert host.health("c2") is False
    assert host.failure("c2").startswith("c2 is being deployed (projects/")
    with pytest.raises(PlatformUnavailableError, match="c2 is being deployed"):
        host.target("c2")
    assert host.failure("c3") == "there is no slot c3"
    with pytest.raises(PlatformRefusedError, match="there is no slot c3"):
        host.target("c3")


def test_a_deployment_nobody_waits_for_is_listed_and_counted_among_the_costs(world):
    begun(world, "c2")
    parts = fresh(world)
    coming = {one.slot: (one.version, one.healthy) for one in parts.production_host.list()}
    assert coming == {"c1": ("of-c1", True), "c2": ("1", False)}
    (standing,) = [one for one in parts.costs.standing() if one.name.endswith(" c2")]
    assert standing.what == "version 1, being deployed"


def test_it_is_taken_away_from_any_machine(world):
    begun(world, "c2")
    fresh(world).production_host.remove("c2")
    assert running(world) == []
    assert [one.slot for one in fresh(world).production_host.list()] == ["c1"]


def test_one_that_comes_up_all_the_same_is_taken_away_too(world):
    """The platform promises only to try to cancel."""
    begun(world, "c2", takes_s=1.0)
    world.emulator.faults.add("CancelOperation", lost=True)
    fresh(world).production_host.remove("c2")
    assert list(world.emulator.endpoints.servers) == [_of(world, "c1")]


def test_one_that_comes_up_between_two_looks_is_taken_away_too(world):
    """It is neither on the endpoint at the first look nor among what goes on at the second."""
    begun(world, "c2")
    operations = world.emulator.operations
    really = operations.ListOperations

    def ended_by_then(request):
        operations.ListOperations = really
        for one in operations.pending.values():
            one["at"] = 0
        eventually(lambda: not running(world))
        return really(request)

    operations.ListOperations = ended_by_then
    fresh(world).production_host.remove("c2")
    assert list(world.emulator.endpoints.servers) == [_of(world, "c1")]


def test_what_else_goes_on_with_the_endpoint_is_left_alone(world):
    version, package = world.version("1")
    world.production.deploy("c3", version, package)
    eventually(lambda: world.production.health("c3"))
    begun(world, "c2")
    name, number = _of(world, "c3")
    world.emulator.latency_s = _FOREVER_S
    service = fresh(world).router._endpoint.clients.endpoints
    leaving = service.undeploy_model(endpoint=name, deployed_model_id=number)
    world.emulator.latency_s = 0.05
    fresh(world).production_host.remove("c2")
    assert running(world) == [leaving.operation.name]
    world.emulator.operations.pending[leaving.operation.name]["at"] = 0
    eventually(lambda: not running(world))


def test_a_cancel_that_is_refused_is_told(world):
    begun(world, "c2")
    world.emulator.faults.add("CancelOperation", code="PERMISSION_DENIED")
    with pytest.raises(PlatformRefusedError, match="to cancel projects/"):
        fresh(world).production_host.remove("c2")
    assert len(running(world)) == 1


def test_a_cancel_that_is_refused_because_it_ended_meanwhile_is_none(world):
    begun(world, "c2", takes_s=0.4)
    world.emulator.faults.add("CancelOperation", code="FAILED_PRECONDITION", delay_s=1.5)
    fresh(world).production_host.remove("c2")
    assert list(world.emulator.endpoints.servers) == [_of(world, "c1")]


def test_one_that_never_ends_is_named_at_the_limit(world):
    begun(world, "c2")
    world.emulator.faults.add("CancelOperation", lost=True)
    with pytest.raises(PlatformUnavailableError, match=r"not done after 0\.2 s"):
        fresh(world, change_limit_s=0.2).production_host.remove("c2")


def test_of_two_under_way_the_other_is_left_alone(world):
    """The platform does not say which is which: it is waited for, not cancelled."""
    begun(world, "c2", takes_s=1.0)
    begun(world, "c3", takes_s=1.0)
    fresh(world).production_host.remove("c2")
    assert {one.slot for one in fresh(world).production_host.list()} == {"c1", "c3"}


def test_its_own_machine_knows_which_of_two_to_cancel(world):
    version, package = world.version("1")
    begun(world, "c3")
    world.emulator.latency_s = _FOREVER_S
    world.production.deploy("c2", version, package)
    world.emulator.latency_s = 0.05
    world.production.remove("c2")
    assert len(running(world)) == 1
    assert "c3 is being deployed" in fresh(world).production_host.failure("c3")


def test_the_same_deployment_is_waited_for_and_another_version_replaces_it(world):
    version, package = world.version("1")
    other, _ = world.version("2", predicts=2.0)
    begun(world, "c2")
    (first,) = running(world)
    asked = world.emulator.faults.calls.count("DeployModel")
    host = fresh(world).production_host
    host.deploy("c2", version, package)
    assert world.emulator.faults.calls.count("DeployModel") == asked
    host.deploy("c2", other, package)
    assert first not in running(world)
    eventually(lambda: host.health("c2"))
    assert {one.slot: one.version for one in host.list()} == {"c1": "of-c1", "c2": "2"}


def test_a_deployment_that_came_to_nothing_is_forgotten_by_the_next(world):
    version, package = world.version("1")
    for slot in ("c2", "c3"):
        world.emulator.faults.add("DeployModel", code="INVALID_ARGUMENT")
        with pytest.raises(PlatformRefusedError, match="to deploy"):
            world.production.deploy(slot, version, package)
    endpoint = fresh(world).router._endpoint.get()
    assert [key for key in endpoint.labels if key.startswith("deploying_")] == ["deploying_c3"]
    assert world.production.failure("c3") == "there is no slot c3"


def test_a_staging_slot_that_is_being_deployed_goes_with_its_endpoint(world):
    begun(world, "s2", host="staging")
    staging = fresh(world).staging_host
    assert "s2" in {one.slot for one in staging.list()}
    staging.remove("s2")
    assert running(world) == []
    assert list(staging.list()) == []


class Bundles:
    """Their folder, which Vertex AI does not read: it serves what is registered."""

    def folder(self, _version):
        return Path()


@pytest.fixture
def alone(tmp_path):
    made = VertexWorld(tmp_path)
    made.up()
    yield made
    made.down()


def test_abort_takes_it_away(alone):
    version, package = alone.version("1")
    alone.parts.registry.set_alias("m", CHAMPION, version.version)
    alone.production.deploy("v1", version, package)
    eventually(lambda: alone.production.health("v1"))
    begun(alone, "c2")
    parts = fresh(alone)
    done = restore_traffic(
        "m",
        registry=parts.registry,
        router=parts.router,
        production_host=parts.production_host,
        staging_host=parts.staging_host,
        bundles=Bundles(),
        clock=alone.clock,
        health_limit_s=30,
    )
    assert "c2 is removed" in done
    assert running(alone) == []


def test_dismantling_leaves_nothing_that_comes_up_later(alone):
    begun(alone, "c2")
    begun(alone, "s2", host="staging")
    fresh(alone).dismantle()
    assert alone.emulator.endpoints.endpoints == {}
    assert alone.emulator.endpoints.servers == {}
    assert running(alone) == []
