"""Every clock: the host's and the one tests use."""

import signal
import threading
from datetime import UTC

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import (
    ConfigurationError,
    InterruptedCallError,
    InterruptedRunError,
    PlatformUnavailableError,
)
from tests.fakes.clock import FakeClock


@pytest.fixture(params=["host", "fake"])
def clock(request):
    return HostClock() if request.param == "host" else FakeClock()


def test_the_time_has_its_zone_and_is_utc(clock):
    assert clock.now().tzinfo is UTC


def test_time_passes_while_waiting(clock):
    wall, steady = clock.now(), clock.monotonic()
    clock.sleep(0.02)
    assert clock.monotonic() - steady >= 0.019
    assert clock.now() > wall


def test_a_negative_wait_is_no_wait(clock):
    clock.sleep(-1)


def test_a_clock_that_was_stopped_lets_nobody_wait_and_says_why(clock):
    clock.check()
    assert not clock.stopped
    clock.stop("Ctrl-C")
    clock.stop("later reason")
    assert clock.stopped
    with pytest.raises(InterruptedRunError, match="Ctrl-C"):
        clock.check()
    with pytest.raises(InterruptedRunError, match="Ctrl-C"):
        clock.sleep(3600)


def test_a_stop_ends_the_waits_of_all_threads():
    clock, ended = HostClock(), []

    def wait() -> None:
        with pytest.raises(InterruptedRunError):
            clock.sleep(3600)
        ended.append(True)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    clock.stop("SIGTERM")
    for thread in threads:
        thread.join(60)
    assert len(ended) == 5


def test_a_signal_handler_may_stop_the_clock_its_own_thread_waits_on():
    clock = HostClock()
    before = signal.signal(signal.SIGALRM, lambda *_: clock.stop("alarm"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedRunError, match="alarm"):
            clock.sleep(3600)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("wait_s", [3600, 1e12])
def test_a_stop_ends_the_wait_for_another_try_of_a_call_which_counts_as_unanswered(wait_s):
    clock = HostClock()
    before = signal.signal(signal.SIGALRM, lambda *_: clock.stop("alarm"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedCallError, match="alarm") as ended:
            clock.wait_to_retry(wait_s, cleaning_up=False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert isinstance(ended.value, PlatformUnavailableError)
    assert ended.value.exit_code == 130


def test_a_call_the_run_was_stopped_in_is_not_tried_again(clock):
    """The stop came while the platform was asked, and not in the wait."""
    clock.stop("Ctrl-C")
    with pytest.raises(InterruptedCallError):
        clock.wait_to_retry(3600, cleaning_up=False)


def test_cleaning_up_waits_for_another_try_of_a_call(clock):
    """After the stop, what a platform asks for is waited, or nothing could be cleaned up."""
    clock.stop("Ctrl-C")
    began = clock.monotonic()
    clock.wait_to_retry(0.02, cleaning_up=True)
    assert clock.monotonic() - began >= 0.019


def test_a_scaled_clock_shortens_waits_and_nothing_else():
    """A wait of an hour ends within the test's time limit, and the time told is the host's."""
    clock = HostClock(scale=1e6)
    began = clock.monotonic()
    clock.sleep(3600)
    assert 0.0035 <= clock.monotonic() - began < 3600


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(ConfigurationError, match="as fast"):
        HostClock(scale=scale)


def test_a_fake_clock_can_be_stopped_in_the_middle_of_a_run():
    clock = FakeClock()
    clock.stop_after(1)
    clock.sleep(10)
    with pytest.raises(InterruptedRunError):
        clock.sleep(10)
    assert clock.slept == [10]


def test_a_pause_passes_time_although_the_clock_was_stopped(clock):
    clock.stop("Ctrl-C")
    began = clock.monotonic()
    clock.pause(0.02)
    assert clock.monotonic() - began >= 0.019
