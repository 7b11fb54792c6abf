"""What `status` says of runs: what goes on, what was cut short and what to do about it."""

import os

import pytest

from ml_pipeline.adapters.local.evidence import append_journal
from ml_pipeline.cli.looking import show_status
from ml_pipeline.cli.opening import Place
from ml_pipeline.cli.running import resumed
from ml_pipeline.domain.errors import BusyError, ConfigurationError
from ml_pipeline.session import recovery
from ml_pipeline.session.begun import STARTED
from ml_pipeline.session.lock import Holder, holder_of
from tests.unit.test_journal_damage import project, session

__all__ = ["project", "session"]  # fixtures
HERE = Place(source=None, state=None, runs=None)


def begin(session, run_id="r1"):
    asked = {"source_digest": "", "settings_digest": ""}
    folder = session.wiring.runs.create(run_id)
    append_journal(folder, session.clock, STARTED, options=asked, sets=[], stages=["lint"])


def test_a_run_that_goes_on_is_said_to_run_and_how_to_end_it(session, capsys):
    begin(session)
    begin(session, "r1-bootstrap")
    begin(session, "r0")
    with session.alone("r1", wait=False):
        show_status(HERE)
        told = capsys.readouterr().out
        running = f"running: process {os.getpid()}, which Ctrl-C or `kill -TERM {os.getpid()}` ends"
        assert f"run:      r1  {running}" in told
        assert f"run:      r1-bootstrap  {running}" in told
        assert "run:      r0  not concluded: run `ml-pipeline resume r0`, or `abort r0`" in told
        with (
            pytest.raises(BusyError, match=f"run r1, process {os.getpid()}, is working") as busy,
            session.alone("r2", wait=False),
        ):
            pass
        assert "kill -TERM" in busy.value.remedy
    show_status(HERE)
    assert "running" not in capsys.readouterr().out


@pytest.mark.parametrize("left", ["run r1, process 4194305,", "run r1", "", "run r1, process x,"])
def test_a_run_that_was_killed_does_not_go_on(tmp_path, left):
    """No process has such an id: it is beyond the kernel's largest."""
    (tmp_path / "run.holder").write_text(left)
    assert holder_of(tmp_path) is None
    (tmp_path / "run.holder").write_text(f"run r1, process {os.getpid()},")
    assert holder_of(tmp_path) == Holder(run_id="r1", pid=os.getpid())


def test_an_aborted_run_is_said_to_be_aborted_and_not_to_go_on(session, capsys):
    begin(session)
    recovery.abort(session, "r1")
    show_status(HERE)
    (line,) = [one for one in capsys.readouterr().out.splitlines() if " r1  " in one]
    assert line.endswith("; aborted")
    assert "resume" not in line


def test_a_run_that_was_interrupted_is_followed_by_what_to_do(session, capsys):
    begin(session)
    recovery.abort(session, "r1")
    journal = session.wiring.runs.folder("r1") / "journal.jsonl"
    lines = [line for line in journal.read_text().splitlines() if "run-aborted" not in line]
    journal.write_text("".join(f"{line}\n" for line in lines))
    show_status(HERE)
    told = capsys.readouterr().out
    assert "run:      r1  interrupted: " in told
    assert "; run `ml-pipeline resume r1`, or `abort r1`" in told


def test_resume_without_a_run_says_so_where_there_is_none(session):
    with pytest.raises(ConfigurationError, match="there is no run to go on with"):
        resumed(HERE, None, {}, wait=False)
