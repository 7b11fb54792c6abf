"""Garbage in one run's journal stops neither the other runs nor the way back to safety."""

import json
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import append_journal, read_journal
from ml_pipeline.cli.looking import show_status
from ml_pipeline.cli.opening import Place
from ml_pipeline.domain.errors import DataError, ExitCode
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.ports.registry import CHAMPION
from ml_pipeline.session import recovery
from ml_pipeline.session.begun import STARTED
from ml_pipeline.session.running import Session
from ml_pipeline.settings import Secrets, load
from tests.fakes.registry import FakeRegistry
from tests.fakes.serving import FakeHost, FakeRouter, Served
from tests.fakes.training import FakeTraining
from tests.unit.test_settings import LEAST

GARBAGE = (
    "[1]", "3", '"text"', "null", "{}", '{"event": ["x"]}', '{"at": 1}', '{"event"', "\x00",
    "[" * 100_000, '{"event": "x", "n": ' + "9" * 5000 + "}", "\udcff\udcfe",
)  # fmt: skip
#: What a run begins with, when something of it is gone.
BEGINNINGS = (
    {},
    {"options": None, "sets": [], "stages": [], "at": "2026-01-01T00:00:00+00:00"},
    {"options": {}, "sets": [], "stages": [], "at": "2026-01-01T00:00:00+00:00"},
    {"options": {"source_digest": "", "settings_digest": ""}, "sets": 3, "stages": []},
    {"options": {"source_digest": "", "settings_digest": ""}, "sets": [], "stages": [1]},
)


def spoil(folder: Path, *lines: str) -> None:
    with (folder / "journal.jsonl").open("a", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (folder / "rides.csv").write_text("km,hour,minutes\n1,2,3\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def session(project) -> Session:
    settings = load(environ={})
    made = Session(
        settings, Secrets.read({}), {}, state=project / ".ml-pipeline", runs=project / "runs",
        watcher=lambda *_: None,
    )  # fmt: skip
    served, clock = Served(), HostClock()
    registry = FakeRegistry(project / "registry", clock)
    bundle = project / "bundle"
    bundle.mkdir()
    (bundle / "model").write_text("1")
    one = registry.register(settings.model, bundle, run_id="r0", metrics={}, tags={})
    registry.set_alias(settings.model, CHAMPION, one.version)
    served.slots["production", "v9"] = one
    served.weights = {"v9": 100}
    vars(made.wiring).update(
        registry=registry, router=FakeRouter(served), training=FakeTraining(clock),
        production_host=FakeHost(served, "production", clock),
        staging_host=FakeHost(served, "staging", clock),
    )  # fmt: skip
    return made


def test_what_is_no_line_of_a_journal_is_left_out(tmp_path):
    append_journal(tmp_path, HostClock(), "first")
    spoil(tmp_path, *GARBAGE)
    append_journal(tmp_path, HostClock(), "last")
    assert [line["event"] for line in read_journal(tmp_path)] == ["first", "last"]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_one_damaged_run_hides_no_other(session, project, capsys, garbage):
    runs = session.wiring.runs
    append_journal(runs.create("good"), session.clock, STARTED)
    for name in ("bad", "Bad Name"):
        (project / "runs" / name).mkdir()
        spoil(project / "runs" / name, garbage)
    assert runs.ids()[0] == "good"
    assert show_status(Place(source=None, state=None, runs=None)) == ExitCode.DONE
    told = capsys.readouterr().out
    assert "run:      good  not concluded" in told
    assert "run:      bad  " in told


@pytest.mark.parametrize("begun", BEGINNINGS)
def test_a_run_whose_beginning_is_damaged_is_not_resumed_but_aborted(session, begun):
    folder = session.wiring.runs.create("r1")
    append_journal(folder, session.clock, STARTED, **begun)
    _refused_and_aborted(session)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_run_whose_beginning_is_gone_is_not_resumed_but_aborted(session, garbage):
    spoil(session.wiring.runs.create("r1"), garbage)
    _refused_and_aborted(session)


def _refused_and_aborted(session: Session) -> None:
    with pytest.raises(DataError, match="journal"):
        recovery.resume(session, "r1", RunOptions())
    told = recovery.abort(session, "r1")
    assert session.wiring.router.weights() == {"v1": 100}
    assert "all traffic goes to v1" in told
    assert read_journal(session.wiring.runs.folder("r1"))[-1]["event"] == "run-aborted"


def test_a_result_that_cannot_be_read_does_not_keep_a_run_from_being_aborted(session):
    folder = session.wiring.runs.create("r1")
    asked = {"source_digest": "", "settings_digest": ""}
    append_journal(folder, session.clock, STARTED, options=asked, sets=[], stages=["lint"])
    result = folder / "lint" / "1" / "result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{")
    recovery.abort(session, "r1")
    assert json.loads((folder / "run.json").read_text())["outcome"] == "interrupted"
    assert session.wiring.router.weights() == {"v9": 100}


def test_a_registry_that_cannot_be_asked_hides_neither_platform_nor_runs(session, project, capsys):
    append_journal(session.wiring.runs.create("good"), session.clock, STARTED)
    (project / ".ml-pipeline").mkdir()
    (project / ".ml-pipeline" / "mlflow.db").write_text("no database, but long enough " * 9)
    code = show_status(Place(source=None, state=None, runs=None))
    told = capsys.readouterr().out
    assert code == ExitCode.UNAVAILABLE
    assert "champion: the model registry" in told
    assert "platform: not up" in told
    assert "run:      good  not concluded" in told
