"""What is written, and what never is."""

import json
import resource
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import StorageError
from ml_pipeline.domain.evidence import Check, Outcome, RunRecord, Status
from ml_pipeline.reporting.cleaning import masked, visible
from ml_pipeline.reporting.writer import FileReportWriter
from tests.fakes.report_runs import RunFolder, promoted

FILES = ["report.html", "report.md", "junit.xml", "run.json"]


def test_four_files_are_written_and_named_in_order(tmp_path):
    written = FileReportWriter().write(promoted(tmp_path), tmp_path, tmp_path)
    assert [path.name for path in written] == FILES
    assert all(path.stat().st_size > 1000 for path in written)


def test_run_json_is_the_record(tmp_path):
    run = promoted(tmp_path)
    *_, file = FileReportWriter().write(run, tmp_path, tmp_path)
    assert RunRecord.model_validate_json(file.read_bytes()) == run


def test_writing_twice_writes_the_same(tmp_path):
    run = promoted(tmp_path)
    first = [p.read_bytes() for p in FileReportWriter().write(run, tmp_path, tmp_path)]
    second = [p.read_bytes() for p in FileReportWriter().write(run, tmp_path, tmp_path)]
    assert first == second


def test_a_planted_secret_is_in_none_of_the_files(tmp_path):
    canary = "canary-<&>\"'`|-7f3a9c"
    run = RunFolder(tmp_path)
    check = Check(name=canary, passed=False, value=canary, limit=canary, message=f"x\n{canary}")
    run.stage("train", Status.ERROR, message=canary, remedy=canary, checks=[check],
              values={"deep": [{"er": canary}], canary: 1})  # fmt: skip
    record = run.record(Outcome.ERROR, canary, model=canary, options={"reason": canary})

    for path in FileReportWriter(secrets=[canary]).write(record, tmp_path, tmp_path):
        assert "7f3a9c" not in path.read_text(), path.name


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://bob:hunter2@host/x", "https://•••@host/x"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/•••"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer •••"),
        ("key AKIAABCDEFGHIJKLMNOP.", "key •••."),
        ("ghp_" + "a" * 36, "•••"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a ••• b"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text, left):
    assert masked(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "basic validation of rows",
        "the bearer of news",
        "http://127.0.0.1:8080/ping",
        "a:b@c",
        "0" * 64,
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert masked(text) == text


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text):
    once = visible(text)
    assert visible(once) == once


def test_a_broken_character_does_not_stop_the_report(tmp_path):
    """A tool's output that is no UTF-8 comes in as lone surrogates."""
    run = RunFolder(tmp_path)
    run.stage("lint", Status.FAILED, message="caf\udce9\x00")
    FileReportWriter().write(run.record(Outcome.CHECKS_RED, "caf\udce9"), tmp_path, tmp_path)
    assert "caf\ufffd" in json.loads((tmp_path / "run.json").read_text())["message"]


def test_a_folder_that_is_none_is_an_error_with_a_remedy(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StorageError, match=r"report\.html could not be written") as caught:
        FileReportWriter().write(promoted(tmp_path), tmp_path, file)
    assert caught.value.remedy


@contextmanager
def files_at_most(limit_bytes):
    """As on a full disk: a write beyond it fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_former_report_whole(tmp_path):
    run = promoted(tmp_path)
    FileReportWriter().write(run, tmp_path, tmp_path)
    before = (tmp_path / "report.html").read_bytes()

    with files_at_most(10_000), pytest.raises(StorageError, match="could not be written"):
        FileReportWriter().write(run.model_copy(update={"message": "new"}), tmp_path, tmp_path)

    assert (tmp_path / "report.html").read_bytes() == before
    assert not list(tmp_path.glob(".report*"))
