"""Every project runner: the project's own commands, and nothing of them left afterwards."""

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_pipeline.domain.errors import ConfigurationError, InterruptedRunError, TimeLimitError
from ml_pipeline.ports.runner import ProjectRunner
from tests.fakes.processes import ImpatientClock, lives
from tests.fakes.projects import PLAIN, caller, runner_of, write_files, write_wheel

#: Starts a child that leaves the session and stays, says who is there, and stays itself.
STARTS_A_DAEMON = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
open(sys.argv[1] + ".part", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
if sys.argv[2] == "stay":
    time.sleep(600)
"""


@dataclass
class Case:
    """A runner, its clock, and a requirement line it can install beside the project's own."""

    runner: ProjectRunner
    clock: ImpatientClock
    source: Path
    extra: str


@pytest.fixture(params=["local"])
def case(request, tmp_path):
    source = write_files(tmp_path / "project", {"pyproject.toml": PLAIN, "hello.txt": "hello"})
    write_wheel(tmp_path / "wheels", "laid-over")
    clock = ImpatientClock(lambda: False)
    environ = caller(tmp_path / "wheels")
    runner = runner_of(source, tmp_path / "state", clock=clock, environ=environ)
    return Case(runner, clock, source, "laid-over")


def _gone(pids: Path) -> bool:
    return not any(lives(int(pid)) for pid in pids.read_text().split())


def test_preparing_twice_gives_the_same_environment(case):
    assert case.runner.prepare() == case.runner.prepare()


def test_an_exit_code_is_a_value_and_no_error(case, tmp_path):
    argv = ["python", "-c", "raise SystemExit(2)"]
    result = case.runner.run(argv, log=tmp_path / "log", time_limit_s=60)
    assert (result.exit_code, result.argv) == (2, tuple(argv))


def test_the_log_holds_both_streams_and_nobody_waits_for_input(case, tmp_path):
    code = "import sys; print('out'); print('err', file=sys.stderr); print(repr(sys.stdin.read()))"
    result = case.runner.run(["python", "-c", code], log=tmp_path / "log", time_limit_s=60)
    assert sorted(result.tail().splitlines()) == ["''", "err", "out"]


def test_commands_run_in_the_projects_folder(case, tmp_path):
    code = "print(open('hello.txt').read())"
    result = case.runner.run(["python", "-c", code], log=tmp_path / "log", time_limit_s=60)
    assert result.tail() == "hello"


@pytest.mark.parametrize("package", ["ml_pipeline", "pydantic", "psutil"])
def test_the_pipelines_packages_are_not_visible(case, tmp_path, package):
    result = case.runner.run(
        ["python", "-c", f"import {package}"], log=tmp_path / "log", time_limit_s=60
    )
    assert f"No module named '{package}'" in result.tail()


def test_variables_are_for_one_command_only(case, tmp_path):
    argv = ["python", "-c", "import os; print(os.environ.get('GIVEN'))"]
    log = tmp_path / "log"
    first = case.runner.run(argv, log=log, time_limit_s=60, variables={"GIVEN": "once"})
    assert first.tail() == "once"
    assert case.runner.run(argv, log=log, time_limit_s=60).tail() == "None"


def test_extra_requirements_are_for_one_command_only(case, tmp_path):
    argv, log = ["python", "-c", "import laid_over; print(laid_over.version)"], tmp_path / "log"
    with_it = case.runner.run(argv, log=log, time_limit_s=60, extra=[case.extra])
    assert with_it.tail() == "1.0"
    assert case.runner.run(argv, log=log, time_limit_s=60).exit_code == 1


def test_a_program_that_is_nowhere_is_named(case, tmp_path):
    with pytest.raises(ConfigurationError, match="'no-such-tool'"):
        case.runner.run(["no-such-tool", "x"], log=tmp_path / "log", time_limit_s=60)


def test_at_the_time_limit_all_it_started_is_gone(case, tmp_path):
    pids = tmp_path / "pids"
    case.clock.question = pids.exists
    argv = ["python", "-c", STARTS_A_DAEMON, str(pids), "stay"]
    with pytest.raises(TimeLimitError, match="ran longer than 3600 s"):
        case.runner.run(argv, log=tmp_path / "log", time_limit_s=3600)
    assert _gone(pids)


def test_a_run_that_is_stopped_leaves_nothing(case, tmp_path):
    pids, argv = (
        tmp_path / "pids",
        ["python", "-c", STARTS_A_DAEMON, str(tmp_path / "pids"), "stay"],
    )

    def stop_when_started() -> None:
        waiting = threading.Event()
        while not pids.exists():
            waiting.wait(0.02)
        case.clock.stop("Ctrl-C")

    stopper = threading.Thread(target=stop_when_started)
    stopper.start()
    with pytest.raises(InterruptedRunError, match="Ctrl-C"):
        case.runner.run(argv, log=tmp_path / "log", time_limit_s=120)
    stopper.join()
    assert _gone(pids)


def test_what_a_finished_command_left_running_is_ended(case, tmp_path):
    pids = tmp_path / "pids"
    argv = ["python", "-c", STARTS_A_DAEMON, str(pids), "leave"]
    assert case.runner.run(argv, log=tmp_path / "log", time_limit_s=60).exit_code == 0
    assert _gone(pids)
