"""Commands run to their end, and the end of everything they started."""

import subprocess
import sys

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.processes import (
    MARKER,
    Launch,
    alive,
    born,
    end_all,
    marked,
    masked,
    new_marker,
    run_to_end,
    shown,
)
from ml_pipeline.domain.errors import TimeLimitError
from tests.fakes.processes import ImpatientClock, eventually, lives


@pytest.fixture
def started():
    processes = []

    def start(code: str, marker: str) -> subprocess.Popen:
        argv = [
            sys.executable,
            "-c",
            f"{code}\nprint('ready', flush=True)\nimport time; time.sleep(600)",
        ]
        process = subprocess.Popen(argv, env={MARKER: marker}, stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
STARTS_ANOTHER_WHEN_ASKED = """
import signal, subprocess, sys
def again(*_):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
signal.signal(signal.SIGTERM, again)
"""


@pytest.mark.parametrize("code", ["", IGNORES, STARTS_ANOTHER_WHEN_ASKED])
def test_nothing_survives_whatever_it_does_when_asked(started, code):
    marker = new_marker()
    process = started(code, marker)
    end_all(process.pid, marker, grace_s=1)
    assert not lives(process.pid)
    assert not marked(marker)


def test_only_what_carries_the_marker_is_ended(started):
    mine, other = new_marker(), new_marker()
    process, bystander = started("", mine), started("", other)
    end_all(None, mine)
    assert not lives(process.pid)
    assert lives(bystander.pid)


def test_ending_what_is_gone_is_no_error():
    end_all(None, new_marker())
    end_all(2**22 + 1, new_marker())


def test_a_process_is_known_by_its_number_and_its_birth(started):
    process = started("", new_marker())
    birth = born(process.pid)
    assert alive(process.pid, birth)
    assert not alive(process.pid, birth - 60)
    process.kill()
    assert eventually(lambda: not alive(process.pid, birth))


def test_a_command_that_was_killed_has_a_negative_exit_code(tmp_path):
    argv = (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    launch = Launch(argv=argv, cwd=tmp_path, environ={})
    assert run_to_end(launch, log=tmp_path / "log", time_limit_s=60, clock=HostClock()) == -9


def test_the_log_of_a_stopped_command_holds_what_it_had_said(tmp_path):
    log = tmp_path / "log"
    clock = ImpatientClock(lambda: log.exists() and log.read_text() == "here\n")
    argv = (sys.executable, "-uc", "print('here'); import time; time.sleep(600)")
    launch = Launch(argv=argv, cwd=tmp_path, environ={})
    with pytest.raises(TimeLimitError, match="ran longer than 3600 s") as raised:
        run_to_end(launch, log=log, time_limit_s=3600, clock=clock)
    assert log.read_text() == "here\n"
    assert str(log) in raised.value.remedy


def test_commands_are_shown_without_folders_and_not_endlessly():
    assert shown(["/long/way/to/python", "train.py"]) == "python train.py"
    assert len(shown(["python", "x" * 500])) == 120


def test_passwords_and_secrets_are_masked_the_longest_first():
    text = "http://me:pw@host/ token-1-long token-1"
    assert masked(text, ["token-1", "token-1-long", " "]) == "http://***@host/ *** ***"
