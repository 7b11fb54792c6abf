"""Trainings that hang, break and are killed, and a pipeline that is killed while they run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ml_pipeline.adapters.local import job as files
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.training import LocalTraining
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.ports.training import JobState, TrainingRequest
from tests.fakes.processes import eventually, lives
from tests.fakes.projects import PLAIN, caller, runner_of, write_files

pytestmark = pytest.mark.e2e

#: Tells who it is and who it started (a child of a session of its own), then stays.
STAYS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
pids = pathlib.Path(sys.argv[1], "pids")
pids.with_suffix(".part").write_text(f"{os.getpid()} {child.pid}")
pids.with_suffix(".part").rename(pids)
print("staying", flush=True)
time.sleep(600)
"""
#: Ends well once it is let go.
WAITS = """
import pathlib, sys, threading
output, gate, turns = (pathlib.Path(each) for each in sys.argv[1:])
with turns.open("a") as file:
    file.write("x")
while not gate.exists():
    threading.Event().wait(0.02)
(output / "model.skops").write_text("trees")
(output / "metrics.json").write_text('{"mae": 1}')
"""
SUBMITS = """
import sys
from pathlib import Path
from tests.e2e.test_training_faults import Place
here = Place(Path(sys.argv[1]))
print(here.platform.submit(here.request("waits.py", *sys.argv[2:])).name, flush=True)
sys.stdin.read()
"""


class Place:
    """A project with trainings of all kinds, and the platform that runs them."""

    def __init__(self, folder: Path, **more) -> None:
        sources = {"pyproject.toml": PLAIN, "stays.py": STAYS, "waits.py": WAITS}
        self.source = folder / "project"
        if not self.source.exists():
            write_files(self.source, sources)
            write_files(folder, {"rows.csv": "a\n1\n"})
        self.data = folder / "rows.csv"
        self.state = folder / "state"
        environ = caller(TOKEN="canary-1234")
        runner = runner_of(self.source, self.state, environ=environ, pass_variables=["TOKEN"])
        self.platform = LocalTraining(self.state, runner, HostClock(), **more)

    def request(self, *argv: str, time_limit_s: float = 300, artifact="model.skops"):
        return TrainingRequest(
            project="shop",
            run_id="run-1",
            attempt=1,
            source=self.source,
            data=self.data,
            argv=("python", argv[0], "{output}", *argv[1:]),
            artifact=artifact,
            metrics="metrics.json",
            time_limit_s=time_limit_s,
        )

    def folder(self, job) -> Path:
        return self.state / "jobs" / job.name

    def pids(self, job) -> list[int]:
        """Of the training and of what it started, once both are there."""
        path = self.folder(job) / files.OUTPUT / "pids"
        assert eventually(path.exists)
        return [int(pid) for pid in path.read_text().split()]

    def supervisor(self, job) -> int:
        return json.loads((self.folder(job) / files.PROCESS).read_text())["pid"]

    def ended(self, job) -> JobState:
        assert eventually(lambda: self.platform.state(job).final)
        return self.platform.state(job)


@pytest.fixture
def here(tmp_path):
    made = Place(tmp_path)
    yield made
    for job in made.platform.running("shop"):
        made.platform.cancel(job.ref)


def test_a_cancelled_training_takes_all_it_started_with_it(here):
    job = here.platform.submit(here.request("stays.py"))
    pids = [*here.pids(job), here.supervisor(job)]
    assert all(lives(pid) for pid in pids)
    here.platform.cancel(job)
    assert not any(lives(pid) for pid in pids)
    assert here.platform.state(job) is JobState.CANCELLED


def test_a_training_nobody_watches_ends_at_its_time_limit(here, tmp_path):
    unwatched = Place(tmp_path, grace_s=0)
    job = unwatched.platform.submit(here.request("stays.py", time_limit_s=6))
    pids = here.pids(job)
    assert here.ended(job) is JobState.FAILED
    assert not any(lives(pid) for pid in pids)
    assert "stopped after 6 s, its time limit" in here.platform.failure(job)
    assert "staying" in here.platform.failure(job)


def test_a_training_whose_supervisor_is_killed_has_failed_and_is_gone(here):
    job = here.platform.submit(here.request("stays.py"))
    pids = here.pids(job)
    os.kill(here.supervisor(job), signal.SIGKILL)
    assert here.ended(job) is JobState.FAILED
    assert not any(lives(pid) for pid in pids)
    assert "its supervisor was killed" in here.platform.failure(job)


def test_a_supervisor_that_is_asked_to_stop_stops_the_training_first(here):
    job = here.platform.submit(here.request("stays.py"))
    pids = here.pids(job)
    os.kill(here.supervisor(job), signal.SIGTERM)
    assert eventually((here.folder(job) / files.EXIT).exists)
    assert not any(lives(pid) for pid in pids)
    assert "SIGTERM" in here.platform.failure(job)


def test_a_training_that_is_killed_has_failed(here):
    job = here.platform.submit(here.request("stays.py"))
    training, child = here.pids(job)
    os.kill(training, signal.SIGKILL)
    assert here.ended(job) is JobState.FAILED
    assert "exit code -9" in here.platform.failure(job)
    assert not lives(child)


def test_a_number_that_went_to_another_process_is_not_the_job(here):
    job = here.platform.submit(here.request("stays.py"))
    here.pids(job)
    record = here.folder(job) / files.PROCESS
    supervisor = here.supervisor(job)
    record.write_text(json.dumps({"pid": os.getpid(), "create_time": 1.0}))
    assert here.platform.state(job) is JobState.FAILED
    assert not lives(supervisor)


def _submitting(tmp_path, gate) -> subprocess.Popen:
    argv = [sys.executable, "-c", SUBMITS, str(tmp_path), str(gate), str(tmp_path / "turns")]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_training_outlives_a_pipeline_that_is_killed(here, tmp_path):
    gate = tmp_path / "gate"
    with _submitting(tmp_path, gate) as pipeline:
        name = pipeline.stdout.readline().strip()
        pipeline.kill()
    job = here.platform.find("shop", "run-1")
    assert job.name == name
    assert here.platform.state(job) is JobState.RUNNING
    gate.touch()
    assert here.ended(job) is JobState.SUCCEEDED
    assert here.platform.result(job).metrics == {"mae": 1.0}


def test_submitting_at_once_from_two_processes_trains_once(here, tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    with _submitting(tmp_path, gate) as one, _submitting(tmp_path, gate) as two:
        names = {process.stdout.readline().strip() for process in (one, two)}
        one.stdin.close()
        two.stdin.close()
    assert len(names) == 1
    assert here.ended(here.platform.find("shop", "run-1")) is JobState.SUCCEEDED
    assert (tmp_path / "turns").read_text() == "x"


def test_a_submission_that_was_cut_short_is_no_job_and_can_be_made_again(here, tmp_path):
    request = here.request("waits.py", str(tmp_path / "gate"), str(tmp_path / "turns"))
    (tmp_path / "gate").touch()
    job = here.platform.submit(request)
    here.ended(job)
    for name in (files.PROCESS, files.EXIT):
        (here.folder(job) / name).unlink()
    assert here.platform.find("shop", "run-1") is None
    assert here.platform.last_submitted("shop") is None
    assert here.platform.submit(request) == job
    assert here.ended(job) is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("artifact", "said"),
    [
        ("../../job.json", "left no model"),
        ("/etc/passwd", "a path that leads out of"),
        ("absent.skops", "left no model"),
    ],
)
def test_a_model_is_only_taken_from_where_the_training_writes(here, tmp_path, artifact, said):
    (tmp_path / "gate").touch()
    argv = ("waits.py", str(tmp_path / "gate"), str(tmp_path / "turns"))
    job = here.platform.submit(here.request(*argv, artifact=artifact))
    here.ended(job)
    with pytest.raises(DataError, match=said):
        here.platform.result(job)


def test_a_damaged_record_of_a_job_is_named(here, tmp_path):
    (tmp_path / "gate").touch()
    job = here.platform.submit(
        here.request("waits.py", str(tmp_path / "gate"), str(tmp_path / "turns"))
    )
    here.ended(job)
    record = here.folder(job) / files.JOB
    whole = record.read_text()
    record.write_text("{")
    with pytest.raises(PlatformRefusedError, match=r"job\.json cannot be read"):
        here.platform.state(job)
    record.write_text(whole)


def test_no_secret_is_left_in_what_a_job_writes(here):
    write_files(here.source, {"tells.py": "import os; print('token', os.environ['TOKEN'])\n"})
    job = here.platform.submit(here.request("tells.py"))
    here.ended(job)
    log = here.folder(job) / files.LOG
    assert log.read_text() == "token ***\n"
    written = [path for path in here.folder(job).rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if b"canary-1234" in path.read_bytes()]
