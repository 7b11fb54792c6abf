"""A rollout's lease, against a model of it: nobody moves traffic without holding it."""

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ml_pipeline.domain.errors import BusyError, PlatformRefusedError
from ml_pipeline.localplatform.lease import Lease, LeaseState
from ml_pipeline.localplatform.records import DeploymentRecord, Endpoint
from ml_pipeline.localplatform.store import Store

LEASE_S = 30.0
FALLBACK = {"champion": 100}
runs = st.sampled_from(["run-1", "run-2"])


def record(slot: str) -> DeploymentRecord:
    return DeploymentRecord(
        endpoint=Endpoint.PRODUCTION,
        slot=slot,
        model="m",
        version=slot,
        digest="",
        package="",
        chaos="",
        trusted_types=(),
        since_s=0,
    )


def lease(run_id: str, now_s: float) -> Lease:
    return Lease(run_id=run_id, fallback=FALLBACK, lease_s=LEASE_S, deadline_s=now_s + LEASE_S)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "platform.sqlite")
    made.deploy(record("champion"))
    made.deploy(record("challenger"))
    made.set_weights(FALLBACK, None, 0.0)
    yield made
    made.close()


class LeaseMachine(RuleBasedStateMachine):
    """Calls of two runs and of the clock, in any order."""

    def __init__(self) -> None:
        super().__init__()
        import pathlib
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(pathlib.Path(self.folder.name) / "platform.sqlite")
        self.store.deploy(record("champion"))
        self.store.deploy(record("challenger"))
        self.store.set_weights(FALLBACK, None, 0.0)
        self.now_s = 0.0
        self.holder: str | None = None
        self.deadline_s = 0.0
        self.last = ("", "")  # run and how its lease ended
        self.weights = dict(FALLBACK)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def _alive(self) -> bool:
        return self.holder is not None and self.now_s < self.deadline_s

    @rule(seconds=st.sampled_from([0.0, 1.0, 29.0, 30.0, 31.0]))
    def time_passes(self, seconds):
        self.now_s += seconds

    @rule()
    def somebody_looks_for_an_expired_lease(self):
        due = self.holder is not None and not self._alive()
        assert self.store.expire(self.now_s) == due
        if due:
            self._ran_out()

    def _ran_out(self):
        self.last, self.holder, self.weights = (self.holder, "expired"), None, dict(FALLBACK)

    @rule(run=runs)
    def a_run_holds(self, run):
        if self._alive() and self.holder != run:
            with pytest.raises(BusyError, match=self.holder):
                self.store.hold(lease(run, self.now_s), self.now_s)
            return
        if self.holder is not None and not self._alive():
            self._ran_out()
        self.store.hold(lease(run, self.now_s), self.now_s)
        self.holder, self.deadline_s = run, self.now_s + LEASE_S

    @rule(run=runs)
    def a_run_renews(self, run):
        if self._alive() and self.holder == run:
            self.store.renew(run, self.now_s)
            self.deadline_s = self.now_s + LEASE_S
        else:
            with pytest.raises(PlatformRefusedError):
                self.store.renew(run, self.now_s)

    @rule(run=runs)
    def a_run_commits(self, run):
        committed = self.holder is None and self.last == (run, "committed")
        if committed or (self._alive() and self.holder == run):
            self.store.commit(run, self.now_s)
            self.last, self.holder = (run, "committed"), None
        else:
            with pytest.raises(PlatformRefusedError):
                self.store.commit(run, self.now_s)

    @rule(run=runs, share=st.integers(1, 100))
    def a_run_moves_traffic(self, run, share):
        wanted = {"champion": 100 - share, "challenger": share}
        if self._alive() and self.holder == run:
            self.store.set_weights(wanted, run, self.now_s)
            self.weights = wanted
        elif {slot: one for slot, one in wanted.items() if one} != self.weights:
            with pytest.raises(PlatformRefusedError):
                self.store.set_weights(wanted, run, self.now_s)

    @invariant()
    def the_state_is_the_models(self):
        now = self.store.snapshot()
        held = now.lease.run_id if now.lease is not None and now.lease.held() else None
        assert held == self.holder
        assert now.weights == self.weights


TestLease = LeaseMachine.TestCase
TestLease.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_same_run_may_commit_twice(store):
    store.hold(lease("run-1", 0.0), 0.0)
    store.commit("run-1", 1.0)
    store.commit("run-1", 99.0)
    assert store.snapshot().lease.state is LeaseState.COMMITTED


def test_only_one_of_two_who_see_a_lease_run_out_ends_it(store, tmp_path):
    other = Store(tmp_path / "platform.sqlite")
    store.hold(lease("run-1", 0.0), 0.0)
    store.set_weights({"champion": 10, "challenger": 90}, "run-1", 1.0)
    assert [store.expire(31.0), other.expire(31.0)] == [True, False]
    other.close()
    assert [one["kind"] for one in store.events(0, 99)].count("lease-expired") == 1
    assert store.snapshot().weights == FALLBACK


def test_what_a_run_does_after_its_lease_does_not_undo_the_fallback(store):
    store.hold(lease("run-1", 0.0), 0.0)
    with pytest.raises(PlatformRefusedError, match="ran out"):
        store.set_weights({"champion": 0, "challenger": 100}, "run-1", 30.0)
    assert store.snapshot().weights == FALLBACK


def test_a_person_may_move_traffic_without_a_lease(store):
    store.set_weights({"champion": 50, "challenger": 50}, None, 0.0)
    assert store.snapshot().weights == {"champion": 50, "challenger": 50}
