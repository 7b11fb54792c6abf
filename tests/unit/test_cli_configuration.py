"""What `config`, `doctor` and `--version` say on a terminal, and the codes they end with."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from ml_pipeline.cli.app import app
from ml_pipeline.cli.ending import ended
from tests.unit.test_settings import LEAST


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "rides.csv").write_text("km,hour,minutes\n1,2,3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def say(monkeypatch, capsys):
    """Types a command; its exit code and all it printed."""

    def typed(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["ml-pipeline", *words])
        code = ended(app)
        told = capsys.readouterr()
        return code, told.out + told.err

    return typed


def test_the_version_is_the_one_installed(say) -> None:
    assert say("--version") == (0, f"ml-pipeline {importlib.metadata.version('ml-pipeline')}\n")


def test_without_a_command_help_is_shown_with_the_version_option(say) -> None:
    code, told = say("--help")
    assert code == 0
    assert "--version" in told


def test_one_setting_is_shown_with_where_it_came_from(say, project) -> None:
    assert say("config", "gate.limit") == (0, "gate.limit  5.0  ml-pipeline.toml\n")
    code, told = say("config", "data.cutoff")
    assert (code, told.split()) == (0, ["data.cutoff", "(not", "set)", "default"])


@pytest.mark.parametrize("words", [("status",), ("abort",), ("platform", "status")])
def test_rows_that_are_gone_are_no_reason_not_to_look_or_abort(say, project, words) -> None:
    (project / "rides.csv").unlink()
    code, told = say(*words)
    assert (code, "rides.csv" in told) == (0, False)
    assert say("full-pipeline")[0] == 4


def test_a_rollback_does_not_ask_for_the_rows_either(say, project) -> None:
    (project / "rides.csv").unlink()
    code, told = say("rollback", "--reason", "it was worse")
    assert (code, "rides.csv" in told, "version" in told) == (4, False, True), told


def test_a_section_shows_all_of_it_and_no_more(say, project) -> None:
    code, told = say("config", "gate")
    assert code == 0
    assert {line.partition(".")[0] for line in told.splitlines()} == {"gate"}
    assert len(told.splitlines()) == 5


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("gate.limits", "gate.limits: unknown key; did you mean 'limit'?"),
        ("gat", "gat: unknown key; did you mean 'gate'?"),
        ("limit", "limit: unknown key; did you mean 'gate.limit'?"),
        ("gate.limit.x", "gate.limit.x: gate.limit has one value and no keys below it"),
        ("a b", "a b: is no key"),
        ("hyperparameters.depth", "hyperparameters.depth: is not set"),
    ],
)
def test_a_key_that_is_not_there_is_an_error_with_the_nearest_one(
    say, project, key, message
) -> None:
    code, told = say("config", key)
    assert code == 4
    assert told.startswith(f"error: {message}")
    assert "ml-pipeline config" in told.splitlines()[1]


def test_text_from_outside_commands_no_terminal(say, project) -> None:
    code, told = say("config", "--set", "gate.rule=x\x1b[31mRED\x1b]0;t\x07")
    assert code == 4
    assert "RED" in told
    assert "\x1b" not in told
    code, told = say("config", "ga\x1b[31mt")
    assert code == 4
    assert "\x1b" not in told
