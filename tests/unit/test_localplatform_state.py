"""The platform's state: what is kept, and when a crashed process is started again."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ml_pipeline.domain.errors import ConfigurationError, PlatformRefusedError, StorageError
from ml_pipeline.localplatform import control, database
from ml_pipeline.localplatform.backoff import Backoff
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.lease import Lease, LeaseState
from ml_pipeline.localplatform.records import Endpoint, Phase, Snapshot, checked_name
from ml_pipeline.localplatform.router import in_force
from ml_pipeline.localplatform.store import Store
from tests.unit.test_localplatform_lease import record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "platform.sqlite"


@pytest.fixture
def store(path):
    made = Store(path)
    yield made
    made.close()


def test_everything_is_there_again_after_a_restart(path):
    first = Store(path)
    first.deploy(record("v1"))
    first.set_weights({"v1": 100}, None, 1.0)
    first.fared((Endpoint.PRODUCTION, "v1"), Phase.HEALTHY, port=4711, reason="")
    first.set_meta("public_port", "8080")
    before = first.snapshot()
    first.close()
    second = Store(path)
    assert second.snapshot() == before
    assert second.meta("public_port") == "8080"
    second.close()


def test_every_change_has_a_generation_of_its_own(store):
    seen = [store.snapshot().generation]
    for change in (
        lambda: store.deploy(record("v1")),
        lambda: store.set_weights({"v1": 100}, None, 0.0),
        lambda: store.fared((Endpoint.PRODUCTION, "v1"), Phase.FAILED, port=None, reason="x"),
    ):
        change()
        seen.append(store.snapshot().generation)
    assert seen == sorted(set(seen))


def test_a_refused_change_leaves_everything_as_it_was(store):
    store.deploy(record("v1"))
    store.set_weights({"v1": 100}, None, 0.0)
    before = store.snapshot()
    with pytest.raises(PlatformRefusedError):
        store.remove(Endpoint.PRODUCTION, "v1", 1.0)
    with pytest.raises(PlatformRefusedError):
        store.set_weights({"v2": 100}, None, 1.0)
    assert store.snapshot() == before


def test_a_removed_slot_keeps_no_share(store):
    store.deploy(record("v1"))
    store.deploy(record("v2"))
    store.set_weights({"v1": 100, "v2": 0}, None, 0.0)
    store.remove(Endpoint.PRODUCTION, "v2", 1.0)
    assert store.snapshot().weights == {"v1": 100}


def test_state_of_another_format_is_left_alone(path):
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version=99")
    file.close()
    with pytest.raises(ConfigurationError, match="format 99"):
        Store(path)


def test_only_so_many_events_are_kept(store, monkeypatch):
    monkeypatch.setattr(database, "EVENTS_KEPT", 3)
    for number in range(5):
        store.note("tick", float(number), {"number": number})
    assert [one["detail"]["number"] for one in store.events(0, 99)] == [2, 3, 4]
    assert [one["detail"]["number"] for one in store.events(4, 1)] == [4]


@pytest.mark.parametrize(("now_s", "weights"), [(29.9, {"v2": 100}), (30.0, {"v1": 100})])
def test_the_router_obeys_a_lease_before_anybody_has_written_its_end(now_s, weights):
    lease = Lease(run_id="r", fallback={"v1": 100}, lease_s=30.0, deadline_s=30.0)
    state = Snapshot(generation=1, deployments=(), weights={"v2": 100}, lease=lease)
    assert in_force(state, now_s).weights == weights


def test_a_lease_that_ended_says_nothing_of_weights_set_later():
    for ended in (LeaseState.COMMITTED, LeaseState.EXPIRED):
        lease = Lease(run_id="r", fallback={"v1": 100}, lease_s=30.0, deadline_s=30.0, state=ended)
        state = Snapshot(generation=1, deployments=(), weights={"v2": 100}, lease=lease)
        assert in_force(state, 99.0).weights == {"v2": 100}


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_a_process_without_a_limit_is_started_again_for_ever_but_never_in_a_spin(gaps):
    backoff, now_s = Backoff(limit=None), 0.0
    for gap in gaps:
        now_s += gap
        delay = backoff.crashed(now_s)
        assert 0.1 <= delay <= 5.0
        now_s += delay


def test_waits_double_and_then_it_is_given_up():
    backoff = Backoff(limit=5)
    assert [backoff.crashed(1.0) for _ in range(5)] == [0.1, 0.2, 0.4, 0.8, None]


def test_crashes_long_ago_are_forgotten():
    backoff = Backoff(limit=2, window_s=60.0)
    assert backoff.crashed(0.0) == 0.1
    assert backoff.crashed(60.0) == 0.1
    assert backoff.crashed(61.0) is None


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "é", "a\n", "x" * 64])
def test_names_that_are_no_names_are_refused(name):
    with pytest.raises(PlatformRefusedError):
        checked_name("slot", name)


@pytest.mark.parametrize("name", ["v1", "1.2.3", "a_b-c", "x" * 63])
def test_names_that_are_names_pass(name):
    assert checked_name("slot", name) == name


def test_a_platform_is_not_started_where_it_cannot_write(tmp_path):
    """It would be waited for in vain, and could not say why."""
    folder = Folder(tmp_path)
    folder.root.mkdir()
    folder.tried.symlink_to("/dev/full")
    with pytest.raises(StorageError, match="platform cannot be written: No space left") as told:
        control.up(tmp_path)
    assert str(folder.root) in told.value.remedy
    assert not folder.lock.exists()
    assert not folder.tried.is_symlink(), "the last of the space is not kept"


def test_several_who_start_a_platform_at_one_moment_do_not_hinder_each_other(tmp_path):
    folder = Folder(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for made in [pool.submit(folder.make) for _ in range(200)]:
            made.result()
    assert not folder.tried.exists()
