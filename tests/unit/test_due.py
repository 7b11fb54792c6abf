"""When training is due, and what the guard forbids."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.due import Situation, decide
from ml_pipeline.domain.policies.gate import RetrainPolicy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET = {
    "now": NOW, "has_champion": True, "champion_since": NOW - timedelta(hours=24),
    "judged_in": "r1", "last_trained": NOW - timedelta(hours=24), "last_failed": False,
    "running_jobs": [],
    "drifted": [], "forced": False, "reason": "",
}  # fmt: skip


def decided(**changed):
    return decide(RetrainPolicy(), Situation(**{**QUIET, **changed}))


def test_the_same_inputs_need_no_second_verdict() -> None:
    answer = decided()
    assert not answer.train
    assert "r1" in answer.message


def test_a_missing_champion_drift_age_and_change_are_each_a_reason() -> None:
    assert "no champion" in decided(has_champion=False).message
    assert "distance" in decided(drifted=["distance"]).message
    assert "serves since" in decided(champion_since=NOW - timedelta(days=30)).message
    assert "changed" in decided(judged_in=None).message


def test_the_guard_holds_back_a_due_training_and_says_until_when() -> None:
    answer = decided(judged_in=None, last_trained=NOW - timedelta(hours=1))
    assert not answer.train
    assert "--force" in answer.message


def test_the_guard_never_stands_between_a_project_and_its_first_champion() -> None:
    assert decided(has_champion=False, last_trained=NOW - timedelta(hours=1)).train


def test_the_guard_lets_the_corrected_run_after_a_failed_training_through() -> None:
    recent = NOW - timedelta(hours=1)
    assert decided(judged_in=None, last_trained=recent, last_failed=True).train
    assert not decided(judged_in=None, last_trained=recent).train


def test_force_passes_the_guard_but_never_starts_a_second_job_beside_one_that_runs() -> None:
    recent = NOW - timedelta(hours=1)
    assert decided(last_trained=recent, forced=True).train
    assert not decided(forced=True, running_jobs=["job-1"]).train


@given(st.floats(0, 48), st.booleans(), st.booleans())
def test_nothing_trains_within_the_guard_unless_forced(hours: float, change: bool, force: bool):
    answer = decided(
        judged_in=None if change else "r1",
        last_trained=NOW - timedelta(hours=hours),
        forced=force,
    )
    assert answer.train is (force or (change and hours >= RetrainPolicy().guard_h))
