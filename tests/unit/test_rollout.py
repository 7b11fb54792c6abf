"""What a step of a rollout shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ml_pipeline.domain.policies.release import RolloutPolicy
from ml_pipeline.domain.rollout import Seen, StepState, judge_step

POLICY = RolloutPolicy(hold_s=60, min_requests=300, step_time_limit_s=600)


def state(requests: int, errors: int = 0, slow: int | None = 0, held_s: float = 60) -> StepState:
    seen = Seen(requests=requests, errors=errors, slow=slow)
    return judge_step(POLICY, seen, held_s=held_s, waited_s=held_s).state


def test_a_sound_challenger_advances_when_time_and_requests_are_in() -> None:
    assert state(300) is StepState.ADVANCE
    assert state(299) is StepState.WATCH
    assert state(300, held_s=59) is StepState.WATCH


def test_a_failing_challenger_is_called_within_a_few_requests() -> None:
    assert state(6, errors=6, held_s=1) is StepState.HARM
    assert state(40, errors=8, held_s=1) is StepState.HARM


def test_one_failure_among_few_requests_is_no_proof() -> None:
    assert state(20, errors=1, held_s=1) is StepState.WATCH


def test_one_failure_among_the_first_five_requests_takes_no_good_model_back() -> None:
    assert state(5, errors=1, held_s=1) is StepState.WATCH
    assert state(1, errors=1, held_s=1) is StepState.WATCH


def test_a_slow_challenger_is_harm() -> None:
    assert state(100, slow=50, held_s=1) is StepState.HARM


def test_without_any_latency_a_step_is_watched_and_never_passed() -> None:
    untimed = Seen(requests=300, errors=0, slow=None)
    assert judge_step(POLICY, untimed, held_s=60, waited_s=60).state is StepState.WATCH
    late = judge_step(POLICY, untimed, held_s=600, waited_s=600)
    assert late.state is StepState.NO_EVIDENCE
    assert "latency" in late.message


def test_one_pause_of_the_machine_takes_no_good_model_back() -> None:
    assert state(100, slow=40, held_s=1) is StepState.WATCH
    assert state(10, slow=10, held_s=1) is StepState.WATCH
    assert state(300, slow=40, held_s=1) is StepState.HARM


def test_where_slowness_is_not_counted_the_tail_latency_stands_for_it() -> None:
    slow = Seen(requests=300, errors=0, slow=None, p99_ms=900.0)
    assert judge_step(POLICY, slow, held_s=60, waited_s=60).state is StepState.HARM
    fast = Seen(requests=300, errors=0, slow=None, p99_ms=90.0)
    assert judge_step(POLICY, fast, held_s=60, waited_s=60).state is StepState.ADVANCE
    few = Seen(requests=20, errors=0, slow=None, p99_ms=900.0)
    assert judge_step(POLICY, few, held_s=1, waited_s=1).state is StepState.WATCH


def test_a_challenger_that_refuses_what_the_champion_answers_is_harm() -> None:
    refusing = Seen(requests=200, errors=0, slow=0, refused=40)
    assert judge_step(POLICY, refusing, held_s=10, waited_s=10).state is StepState.HARM
    alike = Seen(requests=300, errors=0, slow=0, refused=40, refused_share=0.12)
    assert judge_step(POLICY, alike, held_s=60, waited_s=60).state is StepState.ADVANCE
    nothing_else = Seen(requests=0, errors=0, slow=0, refused=40)
    assert judge_step(POLICY, nothing_else, held_s=10, waited_s=10).state is StepState.HARM


def test_silence_never_advances() -> None:
    assert state(0, held_s=599) is StepState.WATCH
    assert state(0, held_s=600) is StepState.NO_EVIDENCE


def test_late_figures_are_waited_for_and_not_for_ever() -> None:
    seen = Seen(requests=300, errors=0, slow=0)
    late = judge_step(POLICY, seen, held_s=10, waited_s=70)
    assert late.state is StepState.WATCH
    assert judge_step(POLICY, seen, held_s=10, waited_s=600).state is StepState.NO_EVIDENCE


@given(st.integers(0, 5000), st.integers(0, 5000), st.floats(0, 1000))
def test_nothing_over_its_limit_ever_advances(requests: int, errors: int, held_s: float) -> None:
    errors = min(errors, requests)
    if errors > POLICY.max_error_share * requests:
        assert state(requests, errors=errors, held_s=held_s) is not StepState.ADVANCE


@given(st.integers(1, 2000), st.integers(0, 200), st.integers(1, 50))
def test_more_failures_never_turn_harm_into_anything_better(
    requests: int, errors: int, more: int
) -> None:
    errors = min(errors, requests)
    if state(requests, errors=errors) is StepState.HARM:
        assert state(requests, errors=min(errors + more, requests)) is StepState.HARM


@pytest.mark.parametrize("steps", [[], [50, 10, 100], [10, 20], [0, 100], [10, 110], [10, 10, 100]])
def test_steps_that_do_not_rise_to_all_are_refused(steps: list[int]) -> None:
    with pytest.raises(ValidationError, match="must rise to 100"):
        RolloutPolicy(steps_pct=tuple(steps))
