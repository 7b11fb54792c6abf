"""The order of stages, and what a run comes to."""

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.evidence import EXIT_CODES, Outcome, StageResult, Status
from ml_pipeline.pipeline import STAGES, StageSpec, When, conclude, ending, execute, spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def result(stage: str, status: Status = Status.PASSED, outcome: str = "") -> StageResult:
    return StageResult(
        run_id="r", stage=stage, attempt=1, status=status, outcome=outcome, started_at=NOW,
        duration_s=0,
    )  # fmt: skip


def skip(one: StageSpec, reason: str) -> StageResult:
    return result(one.id, Status.SKIPPED).model_copy(update={"message": reason})


def run_with(answers: dict[str, StageResult], done: dict[str, StageResult] | None = None):
    ran: list[str] = []

    def run_stage(one: StageSpec) -> StageResult:
        ran.append(one.id)
        return answers.get(one.id, result(one.id))

    results = execute(STAGES, run_stage, skip=skip, done=done or {})
    return ran, results


def test_every_need_stands_before_the_stage_that_has_it() -> None:
    seen: set[str] = set()
    for one in STAGES:
        assert set(one.needs) <= seen, one.id
        seen.add(one.id)


def test_a_green_run_runs_every_stage_once_and_needs_come_first() -> None:
    ran, results = run_with({})
    assert sorted(ran) == sorted(one.id for one in STAGES)
    for one in STAGES:
        assert all(ran.index(need) < ran.index(one.id) for need in one.needs)
    assert list(results) == [one.id for one in STAGES]


def test_a_red_check_stops_training_but_not_the_report() -> None:
    ran, results = run_with({"lint": result("lint", Status.FAILED)})
    assert "train" not in ran
    assert {"report", "notify"} <= set(ran)
    assert results["train"].status is Status.SKIPPED
    assert "lint" in results["train"].message
    assert conclude(results.values())[0] is Outcome.CHECKS_RED


def test_independent_stages_run_side_by_side() -> None:
    together = threading.Barrier(2, timeout=30)

    def run_stage(one: StageSpec) -> StageResult:
        if one.id in {"lint", "unit-test"}:
            together.wait()
        return result(one.id)

    execute(STAGES, run_stage, skip=skip, done={})


def test_nothing_to_do_ends_a_run_without_a_fault() -> None:
    quiet = result("decide", Status.PASSED, Outcome.NOTHING_TO_DO)
    ran, results = run_with({"decide": quiet})
    assert "train" not in ran
    assert conclude(results.values())[0] is Outcome.NOTHING_TO_DO


def test_what_passed_before_is_not_run_again_when_resumed() -> None:
    done = {"fetch-data": result("fetch-data"), "lint": result("lint")}
    ran, _ = run_with({}, done)
    assert not {"fetch-data", "lint"} & set(ran)


def test_an_interruption_outweighs_what_else_ended_the_run() -> None:
    both = [result("lint", Status.FAILED), result("unit-test", Status.INTERRUPTED)]
    assert conclude(both)[0] is Outcome.INTERRUPTED


def test_a_stage_left_out_by_choice_does_not_end_a_run() -> None:
    assert ending(result("lint", Status.SKIPPED, "not-configured")) is None


@given(st.lists(st.sampled_from(sorted(Status)), min_size=1, max_size=6))
def test_a_run_is_green_only_when_no_stage_is_red(statuses: list[Status]) -> None:
    results = [result(f"s{number}", one) for number, one in enumerate(statuses)]
    green = all(one in {Status.PASSED, Status.SKIPPED} for one in statuses)
    assert (conclude(results)[0] is Outcome.CHECKS_PASSED) is green


def test_every_outcome_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(Outcome)


def test_an_unknown_stage_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError) as error:
        spec("trian")
    assert "trian" in str(error.value)
    assert "train" in error.value.remedy


def test_only_the_last_stages_always_run() -> None:
    assert [one.id for one in STAGES if one.when is When.ALWAYS] == ["report", "notify"]
