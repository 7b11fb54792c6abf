"""Runs as folders: whole or absent, adopted or made anew, and never silently lost."""

import errno
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import (
    JOURNAL,
    LocalRuns,
    append_journal,
    newest_result,
    read_journal,
)
from ml_pipeline.adapters.local.memo import FolderMemo
from ml_pipeline.conductor import Conductor
from ml_pipeline.domain.errors import ConfigurationError, DataError, StorageError
from ml_pipeline.domain.evidence import StageOutcome, StageResult, Status
from ml_pipeline.pipeline import StageSpec

CALLS: list[str] = []


def passes(*, stage) -> StageOutcome:
    CALLS.append(stage.run_id)
    file = stage.path / "out.txt"
    file.write_text("told")
    return StageOutcome(status=Status.PASSED, message="fine", artifacts=(file,))


def fails(*, stage) -> StageOutcome:
    CALLS.append(stage.run_id)
    return StageOutcome(status=Status.FAILED, message="red")


def breaks(*, stage) -> StageOutcome:
    raise ZeroDivisionError("a bug")


def refuses(*, stage) -> StageOutcome:
    raise DataError("row 3 is empty", remedy="Fill it.")


def interrupted(*, stage) -> StageOutcome:
    raise KeyboardInterrupt


def stage_spec(function: str, *, pure: bool = False) -> StageSpec:
    return StageSpec(id="lint", title="", needs=(), run=f"{__name__}:{function}", pure=pure)


@pytest.fixture
def runs(tmp_path: Path) -> LocalRuns:
    CALLS.clear()
    return LocalRuns(tmp_path / "runs", HostClock())


def conductor(runs: LocalRuns, run_id: str = "r1", source: str = "1" * 64) -> Conductor:
    runs.create(run_id)
    return Conductor(
        run_id=run_id,
        runs=runs,
        memo=FolderMemo(runs.root.parent / "cache"),
        clock=HostClock(),
        provide=lambda name, folder: {"stage": folder}[name],
        digests={"source": source},
        watcher=lambda *_: None,
    )


def test_a_result_is_on_disk_with_its_artifacts_digest(runs) -> None:
    made = conductor(runs).run_stage(stage_spec("passes"))
    read = StageResult.model_validate_json((runs.root / "r1/lint/1/result.json").read_text())
    assert read == made
    assert read.artifacts[0].path == "out.txt"


def test_a_second_attempt_stands_beside_the_first(runs) -> None:
    one = conductor(runs)
    one.run_stage(stage_spec("fails"))
    one.run_stage(stage_spec("passes"))
    assert newest_result(runs.root / "r1", "lint").attempt == 2
    assert (runs.root / "r1/lint/1/result.json").is_file()


def test_a_bug_keeps_its_traceback_and_is_no_verdict(runs) -> None:
    made = conductor(runs).run_stage(stage_spec("breaks"))
    assert made.status is Status.ERROR
    assert made.exit_code == 1
    assert "ZeroDivisionError" in (runs.root / "r1/lint/1/traceback.txt").read_text()


def test_a_ctrl_c_that_a_library_raises_in_a_stage_is_evidence_too(runs) -> None:
    made = conductor(runs).run_stage(stage_spec("interrupted"))
    assert (made.status, made.exit_code) == (Status.INTERRUPTED, 130)
    assert newest_result(runs.root / "r1", "lint") == made


def test_what_a_user_can_mend_carries_remedy_and_code(runs) -> None:
    made = conductor(runs).run_stage(stage_spec("refuses"))
    assert (made.exit_code, made.remedy) == (5, "Fill it.")


def test_a_passed_pure_result_is_adopted_and_says_from_where(runs) -> None:
    pure = stage_spec("passes", pure=True)
    conductor(runs, "r1").run_stage(pure)
    adopted = conductor(runs, "r2").run_stage(pure)
    assert CALLS == ["r1"]
    assert adopted.adopted_from == "r1/lint/1"
    assert adopted.run_id is None
    assert (runs.root / "r2/lint/1/out.txt").read_text() == "told"


def test_other_inputs_are_never_adopted(runs) -> None:
    pure = stage_spec("passes", pure=True)
    conductor(runs, "r1").run_stage(pure)
    conductor(runs, "r2", source="2" * 64).run_stage(pure)
    assert CALLS == ["r1", "r2"]


def test_a_red_pure_result_is_tried_again(runs) -> None:
    pure = stage_spec("fails", pure=True)
    conductor(runs, "r1").run_stage(pure)
    conductor(runs, "r2").run_stage(pure)
    assert CALLS == ["r1", "r2"]


def test_a_kept_answer_that_was_tampered_with_is_not_adopted(runs) -> None:
    pure = stage_spec("passes", pure=True)
    conductor(runs, "r1").run_stage(pure)
    (kept,) = (runs.root.parent / "cache").rglob("out.txt")
    kept.write_text("told otherwise")
    again = conductor(runs, "r2").run_stage(pure)
    assert again.adopted_from is None
    assert CALLS == ["r1", "r2"]


def test_an_artifact_changed_after_the_fact_is_refused(runs) -> None:
    conductor(runs).run_stage(stage_spec("passes"))
    (runs.root / "r1/lint/1/out.txt").write_text("forged")
    with pytest.raises(DataError, match="not the file that stage lint recorded"):
        runs.begin("r1", "report").file("lint", "out.txt")


def test_needing_a_stage_that_did_not_pass_names_it_and_the_command(runs) -> None:
    conductor(runs).run_stage(stage_spec("fails"))
    with pytest.raises(ConfigurationError) as error:
        runs.begin("r1", "report").result("lint")
    assert "ended failed" in str(error.value)
    assert "run lint --run r1" in error.value.remedy


def test_a_full_disk_loses_nothing_that_was_written_before(runs, monkeypatch) -> None:
    one = conductor(runs)
    one.run_stage(stage_spec("passes"))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as error:
        one.run_stage(stage_spec("passes"))
    monkeypatch.undo()
    assert "No space left" in str(error.value)
    assert newest_result(runs.root / "r1", "lint").status is Status.PASSED
    assert not list(runs.root.rglob("*.part"))


def test_journal_lines_of_many_threads_are_all_whole(runs) -> None:
    folder = runs.create("r1")
    clock = HostClock()
    threads = [
        threading.Thread(target=append_journal, args=(folder, clock, "e"), kwargs={"n": n})
        for n in range(20)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(line["n"] for line in read_journal(folder)) == list(range(20))


def test_a_line_torn_by_a_crash_swallows_no_other(runs) -> None:
    folder = runs.create("r1")
    append_journal(folder, HostClock(), "first")
    with (folder / JOURNAL).open("a") as file:
        file.write('{"event": "to')
    append_journal(folder, HostClock(), "second")
    assert [line["event"] for line in read_journal(folder)] == ["first", "second"]


def test_evidence_of_another_version_is_refused_by_name(runs) -> None:
    folder = runs.create("r1") / "lint" / "1"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(DataError, match="cannot be read as evidence"):
        newest_result(runs.root / "r1", "lint")


def test_a_run_id_cannot_leave_the_runs_folder(runs) -> None:
    with pytest.raises(ConfigurationError, match="cannot become a folder"):
        runs.create("../elsewhere")


def test_a_kept_answer_appears_whole_or_not_at_all(tmp_path) -> None:
    memo = FolderMemo(tmp_path / "cache")
    with pytest.raises(StorageError):
        memo.put("split", "ab", [tmp_path / "absent.csv"], tmp_path)
    assert memo.get("split", "ab") is None
    assert not [one for one in (tmp_path / "cache").rglob("*") if one.is_file()]


def test_a_rollback_is_no_run_whose_evidence_a_stage_could_use(runs) -> None:
    append_journal(runs.create("r1"), HostClock(), "run-started")
    append_journal(runs.create("rollback-r2"), HostClock(), "rollback-started")
    assert runs.newest() == "r1"


def test_now_is_in_utc() -> None:
    assert HostClock().now().tzinfo is UTC
    assert isinstance(HostClock().now(), datetime)
