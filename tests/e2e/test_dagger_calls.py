"""The module on a real engine where there is one; elsewhere a recording session stands in."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ml_pipeline.pipeline import STAGES

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        shutil.which("dagger") is None,
        reason="no `dagger` on PATH: calls are only checked through the recording session",
    ),
]


def _dagger(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    argv = ["dagger", "--progress=plain", *words]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_engine_lists_every_stage() -> None:
    done = _dagger("functions")
    assert done.returncode == 0, done.stderr
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {one.id for one in STAGES} <= listed


def test_the_engine_lists_the_checks() -> None:
    done = _dagger("check", "-l")
    assert done.returncode == 0, done.stderr
    for name in ("lint", "unit-test", "validate-data", "smoke-train"):
        assert name in done.stdout


def test_the_examples_lint_passes_in_a_container() -> None:
    done = _dagger("call", "lint")
    assert done.returncode == 0, done.stderr
    assert "linters passed" in done.stdout


def test_a_platform_that_does_not_exist_ends_with_the_documented_code() -> None:
    done = _dagger("call", "--platform=mars", "ci")
    assert done.returncode == 4, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slack-webhook=env://NO_SUCH_VARIABLE", "ci"], "a secret cannot be read"),
        (["--base-image=python:no-such-tag", "lint"], "the base image cannot be had"),
        (["--commit=main", "ci"], "which is no commit"),
    ],
)
def test_what_was_given_wrong_ends_with_the_documented_code(words: list[str], said: str) -> None:
    done = _dagger("call", *words)
    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_project_without_configuration_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing yet\n")
    done = _dagger("call", "-m", str(ROOT), "--source=.", "ci", cwd=tmp_path)
    assert done.returncode == 4, done.stderr


def test_a_refused_run_leaves_evidence_for_a_call_of_its_own(tmp_path: Path) -> None:
    words = ("--profile=test", "--settings=gate.limit=0.001", "full-pipeline", "--run-id=refused")
    done = _dagger("call", *words)
    assert done.returncode in {2, 3}, done.stderr
    target = tmp_path / "evidence"
    done = _dagger("call", "evidence", "--run=refused", "export", f"--path={target}")
    assert done.returncode == 0, done.stderr
    assert (target / "outcome").read_text().strip() in {"no-improvement", "checks-red"}
    assert (target / "junit.xml").is_file()
