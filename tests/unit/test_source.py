"""The commit of a project's evidence: its repository's, or the one that is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.source import COMMIT, commit_of, pipeline_digest
from ml_pipeline.containers import bench
from ml_pipeline.domain.errors import ConfigurationError


def test_a_project_outside_git_has_the_commit_it_is_given(tmp_path: Path) -> None:
    assert commit_of(tmp_path, {}) is None
    assert commit_of(tmp_path, {COMMIT: ""}) is None
    assert commit_of(tmp_path, {COMMIT: "0123abc"}) == "0123abc"


def test_the_name_of_the_variable_is_the_one_containers_set() -> None:
    assert bench.COMMIT == COMMIT


def test_a_repository_names_its_own_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        argv = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert commit_of(tmp_path, {}) == git("rev-parse", "HEAD")
    (tmp_path / "new.py").touch()
    assert commit_of(tmp_path, {}) == git("rev-parse", "HEAD") + "+"


@pytest.mark.parametrize("text", ["main", "0123", "0123ABCDEF", "0123abc\n<b>", "$(id)"])
def test_what_is_no_commit_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="which is no commit"):
        commit_of(tmp_path, {COMMIT: text})


def test_what_another_interpreter_computes_is_another_answer(monkeypatch) -> None:
    here = pipeline_digest()
    pipeline_digest.cache_clear()
    assert pipeline_digest() == here
    pipeline_digest.cache_clear()
    monkeypatch.setattr(sys, "version", "3.99.0")
    assert pipeline_digest() != here
    pipeline_digest.cache_clear()
