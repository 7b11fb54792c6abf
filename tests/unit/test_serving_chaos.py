"""Drills: what can be asked for, and how exactly it happens."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.chaos import Chaos, parse_chaos
from ml_pipeline.domain.errors import ConfigurationError


@pytest.mark.parametrize("spec", ["", "  "])
def test_nothing_asked_for_is_no_drill(spec):
    assert parse_chaos(spec).harmless


def test_all_drills_can_be_asked_for_at_once():
    asked = parse_chaos("errors=0.2, slow_ms=800,crash_after=50")
    assert asked == Chaos(errors_share=0.2, slow_ms=800, crash_after=50)
    assert not asked.harmless


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("error=0.2", "'error=0.2' is not a drill"),
        ("errors", "'errors' is not a drill"),
        ("errors=1.5", "errors=1.5 is not a share"),
        ("errors=-0.1", "errors=-0.1"),
        ("errors=nan", "errors=nan"),
        ("errors=much", "errors=much"),
        ("errors=", "errors="),
        ("slow_ms=inf", "slow_ms=inf"),
        ("slow_ms=60001", "slow_ms=60001"),
        ("crash_after=0", "crash_after=0"),
        ("crash_after=1.5", "crash_after=1.5"),
        ("crash_after=-1", "crash_after=-1"),
        ("crash_after=٣", "crash_after=٣"),
        ("errors=0.1,errors=0.2", "given twice"),
        ("errors=0.1,,slow_ms=3", "'' is not a drill"),
        ("=", "'=' is not a drill"),
    ],
)
def test_what_cannot_be_meant_is_named(spec, named):
    with pytest.raises(ConfigurationError) as caught:
        parse_chaos(spec)
    assert named in str(caught.value)
    assert "crash_after" in caught.value.remedy


@given(st.text(max_size=40))
def test_no_text_is_a_bug(spec):
    with suppress(ConfigurationError):
        parse_chaos(spec)


@given(st.floats(0, 1), st.integers(1, 500))
def test_the_share_of_errors_is_exact_to_one_request(share, requests):
    chaos = Chaos(errors_share=share)
    failed = sum(chaos.fails(request) for request in range(1, requests + 1))
    assert abs(failed - share * requests) <= 1


def test_all_requests_fail_when_asked_to():
    assert all(Chaos(errors_share=1.0).fails(request) for request in range(1, 20))


def test_the_process_ends_on_the_request_after_the_last_it_answers():
    chaos = Chaos(crash_after=2)
    assert [chaos.crashes(request) for request in (1, 2, 3)] == [False, False, True]
    assert not any(Chaos().crashes(request) for request in range(1, 100))
