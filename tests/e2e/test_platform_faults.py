"""The embedded platform when its processes die, hang, or crash again and again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ml_pipeline.domain.errors import BusyError, PlatformUnavailableError
from ml_pipeline.localplatform import control
from tests.fakes.platforms import BODY, LocalWorld, eventually
from tests.fakes.processes import lives

pytestmark = pytest.mark.e2e


@pytest.fixture
def world(tmp_path):
    """A platform with a champion at 100 %."""
    made = LocalWorld(tmp_path)
    made.up()
    try:
        made.deploy("c1", predicts=1.0)
        made.router.set_weights({"c1": 100})
        yield made
    finally:
        made.down()


class Users:
    """Send requests one after another in the background until told to stop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.answers: list[tuple[str, int]] = []  # slot and status

    def __enter__(self):
        self._work = self._pool.submit(self._send)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._work.result()
        self._pool.shutdown()

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not self._stop.is_set():
                answer = client.post(self._url, json=BODY)
                self.answers.append((answer.headers.get("X-Model-Slot", ""), answer.status_code))

    def see(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        eventually(lambda: self._work.done() or len(self.answers) >= wanted)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_a_killed_router_comes_back_with_the_same_weights_and_refuses_nobody(world):
    world.deploy("c2", predicts=2.0)
    world.router.set_weights({"c1": 60, "c2": 40})
    url, old = world.router.endpoint().url, world.pid("router")
    kill(old)
    answer = httpx.post(url, json=BODY, timeout=60)  # waits in the socket the supervisor holds
    assert answer.status_code == 200
    assert world.pid("router") != old
    assert world.router.weights() == {"c1": 60, "c2": 40}
    assert {one.headers["X-Model-Slot"] for one in world.send(60)} == {"c1", "c2"}
    assert "SIGKILL" in world.events("router-restarting")[0]["detail"]["reason"]


def test_a_killed_model_server_comes_back(world):
    old = world.pid("production/c1")
    kill(old)
    eventually(lambda: world.pid("production/c1") not in {None, old})
    eventually(lambda: world.production.health("c1"))
    eventually(lambda: world.send()[0].status_code == 200)
    assert world.router.weights() == {"c1": 100}


def test_a_model_server_that_hangs_is_ended_and_started_anew(world):
    old = world.pid("production/c1")
    os.kill(old, signal.SIGSTOP)
    eventually(lambda: world.pid("production/c1") not in {None, old}, within_s=120)
    eventually(lambda: world.production.health("c1"))
    assert not lives(old)


def test_after_the_supervisor_is_killed_nothing_is_left_and_the_next_one_goes_on(world):
    world.deploy("c2", predicts=2.0)
    world.router.set_weights({"c1": 60, "c2": 40})
    pids = [*world.info.pids.values(), world.pid("production/c2")]
    kill(world.info.pids["supervisor"])
    eventually(lambda: not any(lives(pid) for pid in pids))
    assert control.status(world.state) is None
    again = world.up()
    assert again.public_url == world.info.public_url
    assert again.weights == {"c1": 60, "c2": 40}
    assert {one.slot for one in again.deployments if one.healthy} == {"c1", "c2"}
    assert {one.headers["X-Model-Slot"] for one in world.send(60)} == {"c1", "c2"}


def test_a_lease_that_runs_out_while_the_platform_is_dead_leaves_the_champion_alone(world):
    world.deploy("c2", predicts=2.0)
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=0.5)
    kill(world.info.pids["supervisor"])
    eventually(lambda: not lives(world.info.pids["supervisor"]))
    begun = world.clock.monotonic()
    eventually(lambda: world.clock.monotonic() - begun > 0.6)
    assert world.up().weights == {"c1": 100}
    assert world.router.rollout() is None
    assert [one["detail"]["run_id"] for one in world.events("lease-expired")] == ["run-1"]


def test_the_router_ends_a_lease_by_itself_while_the_supervisor_hangs(world):
    world.deploy("c2", predicts=2.0)
    world.router.hold("run-1", fallback={"c1": 100}, lease_s=4)
    world.router.set_weights({"c1": 0, "c2": 100})
    url, supervisor = world.router.endpoint().url, world.info.pids["supervisor"]
    os.kill(supervisor, signal.SIGSTOP)
    try:
        with httpx.Client(trust_env=False, timeout=60) as client:
            slot_now = lambda: client.post(url, json=BODY).headers["X-Model-Slot"]  # noqa: E731
            eventually(lambda: slot_now() == "c1")
    finally:
        os.kill(supervisor, signal.SIGCONT)
    assert world.router.weights() == {"c1": 100}
    assert len(world.events("lease-expired")) == 1


def test_users_of_the_champion_see_no_error_while_a_challenger_crashes_for_good(world):
    with Users(world.router.endpoint().url) as users:
        world.deploy("c2", chaos="crash_after=3", predicts=2.0)
        world.router.hold("run-1", fallback={"c1": 100}, lease_s=120)
        world.router.set_weights({"c1": 75, "c2": 25})
        eventually(lambda: "given up" in world.production.failure("c2"))
        users.see(20)
        world.router.set_weights({"c1": 100})
        users.see(20)
    statuses = {slot: {s for to, s in users.answers if to == slot} for slot in ("c1", "c2")}
    assert statuses["c1"] == {200}
    assert 502 in statuses["c2"]
    assert not world.production.health("c2")
    assert len(world.events("deployment-restarting")) == 4
    assert len(world.events("deployment-failed")) == 1
    assert world.pid("production/c2") is None


def test_a_deployment_that_was_given_up_starts_when_it_is_deployed_again(world):
    version, package = world.version("moody", ends=4)
    world.production.deploy("c2", version, package)
    eventually(lambda: "given up" in world.production.failure("c2"))
    world.production.deploy("c2", version, package)
    eventually(lambda: world.production.failure("c2").startswith(("starting", "restarting")))


def test_a_deployment_outlives_its_package_folder(world):
    shutil.rmtree(world.version("of-c1")[1])
    kill(world.pid("production/c1"))
    eventually(lambda: world.production.health("c1"))
    world.down()
    world.up()
    assert world.send()[0].json()["predictions"] == [1.0]


def test_a_deployment_whose_copy_was_lost_is_copied_again_when_it_is_deployed_again(world):
    (copy,) = (world.state / "platform" / "deployments").glob("production-c1-*")
    shutil.rmtree(copy)
    kill(world.pid("production/c1"))
    eventually(lambda: "given up" in world.production.failure("c1"), within_s=120)
    world.deploy("c1", predicts=1.0)
    assert world.send()[0].json()["predictions"] == [1.0]


def test_stopping_leaves_no_process_and_keeps_the_state(world):
    pids = world.info.pids | {"c1": world.pid("production/c1")}
    assert control.down(world.state)
    eventually(lambda: not [name for name, pid in pids.items() if lives(pid)])
    assert control.status(world.state) is None
    assert not control.down(world.state)
    assert world.up().weights == {"c1": 100}


def test_a_second_platform_on_the_same_state_ends_with_7_and_a_sentence(world):
    done = subprocess.run(
        [sys.executable, "-m", "ml_pipeline.localplatform.supervisor", "--state", world.state],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 7
    assert "another platform runs on" in done.stderr
    assert "Traceback" not in done.stderr
    assert world.send()[0].status_code == 200


def test_starting_what_is_up_gives_what_is_up(world):
    assert world.up().pids["supervisor"] == world.info.pids["supervisor"]
    with pytest.raises(BusyError, match=str(world.info.port)):
        world.up(port=world.info.port + 1 if world.info.port < 65535 else 1024)


def test_two_at_once_start_one_platform(tmp_path):
    world = LocalWorld(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: control.up(world.state, options=world.options), range(2)))
    try:
        assert both[0].pids["supervisor"] == both[1].pids["supervisor"]
    finally:
        world.down()


def test_one_that_stopped_before_it_was_seen_is_started_again(tmp_path, monkeypatch):
    world, started = LocalWorld(tmp_path), []
    start = control._start

    def start_and_lose_the_first(folder, *how) -> None:
        start(folder, *how)
        started.append(control.status(folder.state).pids["supervisor"])
        if len(started) == 1:
            control.down(folder.state)

    monkeypatch.setattr(control, "_start", start_and_lose_the_first)
    try:
        assert world.up().pids["supervisor"] == started[1]
    finally:
        world.down()


def test_a_port_that_is_taken_is_named(tmp_path):
    world = LocalWorld(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PlatformUnavailableError, match=str(port)) as refused:
            world.up(port=port)
    assert "another port" in refused.value.remedy
    assert control.status(world.state) is None


def test_a_remembered_port_that_is_taken_is_given_up(world):
    world.down()
    before = world.info.port
    with socket.create_server(("127.0.0.1", before)):
        assert world.up().port != before
    assert world.send()[0].status_code == 200


def test_a_platform_started_for_a_run_stops_when_nobody_needs_it(tmp_path):
    world = LocalWorld(tmp_path, idle_stop_s=3)
    pids = world.up(for_run=True).pids
    eventually(lambda: not any(lives(pid) for pid in pids.values() if pid))
    assert not (world.state / "platform" / "platform.json").exists()


def test_a_platform_a_person_asked_for_stays_up(tmp_path):
    world = LocalWorld(tmp_path, idle_stop_s=3)
    try:
        world.up(for_run=True)
        world.up(for_run=False)
        silent_since = world.clock.monotonic()
        eventually(lambda: world.clock.monotonic() - silent_since > 4)
        assert not control.status(world.state).for_run
    finally:
        world.down()


def test_a_held_lease_keeps_a_platform_up_that_was_started_for_a_run(tmp_path):
    world = LocalWorld(tmp_path, idle_stop_s=3)
    try:
        info = world.up(for_run=True)
        world.deploy("c1")
        world.router.hold("run-1", fallback={"c1": 100}, lease_s=4.5)
        eventually(lambda: not lives(info.pids["supervisor"]))
    finally:
        world.down()
    world.up()
    try:
        stopped = world.events("platform-stopped")[0]["id"]
        assert world.events("lease-expired")[0]["id"] < stopped
    finally:
        world.down()
