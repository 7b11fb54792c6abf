"""What an emulated Vertex AI is told by whom: cancels, leases, answers that count as errors."""

import pytest

from ml_pipeline.domain.errors import PipelineError, PlatformRefusedError
from tests.emulators.vertex_cases import VertexTrainingCase, serving
from tests.fakes.clock import FakeClock
from tests.fakes.platforms import eventually, taken_over

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("world"), "c1", "c2") as made:
        yield made


@pytest.fixture
def case(tmp_path):
    made = VertexTrainingCase(tmp_path)
    yield made
    made.clean()


def test_a_cancel_that_is_refused_is_told_while_the_job_goes_on(case):
    platform = case.platform()
    job = platform.submit(case.request(behaviour="hang"))
    case.emulator.faults.add("CancelCustomJob", code="PERMISSION_DENIED")
    with pytest.raises(PlatformRefusedError, match="refused to cancel"):
        platform.cancel(job)
    assert [one.ref for one in platform.running("shop")] == [job]


def test_a_cancel_of_a_job_that_has_ended_changes_nothing(case):
    platform = case.platform()
    job = platform.submit(case.request())
    ended = case.ended(platform, job)
    platform.cancel(job)
    assert platform.state(job) is ended


def test_a_run_that_slept_moves_no_traffic_another_run_moves_now(world):
    late, other = world.another_router(), world.another_router()
    late.hold("run-1", fallback={"c1": 100}, lease_s=0.01)
    eventually(lambda: taken_over(other, "run-2", fallback={"c1": 100}))
    with pytest.raises(PlatformRefusedError, match="run-2 holds the lease now"):
        late.set_weights({"c1": 90, "c2": 10})
    assert other.weights() == {"c1": 100}
    with pytest.raises(PlatformRefusedError, match="holds no lease"):
        late.commit("run-1")
    other.commit("run-2")


def test_of_two_runs_that_take_the_lease_at_one_time_one_gets_it(world):
    slower, quicker = world.another_router(), world.another_router()
    slower._endpoint.clients.attempts._clock = FakeClock()
    really = world.emulator.endpoints.UpdateEndpoint

    def beaten(request):
        world.emulator.endpoints.UpdateEndpoint = really
        quicker.hold("run-2", fallback={"c1": 100}, lease_s=60)
        return really(request)

    world.emulator.endpoints.UpdateEndpoint = beaten
    with pytest.raises(PipelineError, match="etag is not the newest"):
        slower.hold("run-1", fallback={"c1": 100}, lease_s=60)
    assert quicker.rollout() == "run-2"
    quicker.commit("run-2")


def test_a_lease_whose_answers_are_lost_is_taken_renewed_and_given_back(world):
    """Each write took effect, and no other try of it has the newest etag."""
    router = world.another_router()
    router._endpoint.clients.attempts._clock = FakeClock()
    for act in (
        lambda: router.hold("run-1", fallback={"c1": 100}, lease_s=60),
        lambda: router.renew("run-1"),
        lambda: router.commit("run-1"),
    ):
        world.emulator.faults.add("UpdateEndpoint", unheard=True)
        act()
    assert router.rollout() is None
    assert router.weights() == {"c1": 100}


def test_an_endpoint_whose_answer_is_lost_is_the_one_that_was_made(world):
    world.emulator.faults.add("CreateEndpoint", unheard=True)
    world.deploy("lost", host="staging")
    assert [one.slot for one in world.staging.list()] == ["lost"]
    world.staging.remove("lost")


def test_an_answer_429_is_an_error_of_the_slot_and_another_4xx_the_clients(world):
    endpoint = world.router._endpoint
    deployed = {one.display_name: one.id for one in endpoint.get().deployed_models}["c1"]
    start = world.clock.now()
    for status in (200, 200, 400, 404, 429, 503):
        world.emulator.metrics.note(endpoint.id, deployed, status, 0.01)
    end = world.clock.now()
    seen = lambda: world.traffic.window("c1", start, end, 500)  # noqa: E731
    assert eventually(lambda: seen().requests > 0)
    assert (seen().requests, seen().errors, seen().refused) == (4, 2, 2)
