"""The note of the champion: quick, and silent when it is not sure."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest

from ml_pipeline.adapters.local.champion_cache import (
    DATABASE,
    clear_champion_cache,
    noted_champion,
    read_champion_cache,
    write_champion_cache,
)
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

VERSION = ModelVersion(
    model="eta",
    version="3",
    uri="file:///x",
    digest="0" * 64,
    run_id="run-1",
    created_at=datetime(2026, 1, 5, 8, 0, tzinfo=UTC),
    metrics={"mae": 4.5},
    tags={"promoted_at": "today"},
    aliases=frozenset({CHAMPION}),
)


@pytest.fixture
def state(tmp_path):
    with closing(sqlite3.connect(tmp_path / DATABASE)) as base, base:
        base.execute("CREATE TABLE registered_model_aliases (name, alias, version)")
        base.execute("INSERT INTO registered_model_aliases VALUES ('eta', 'champion', 3)")
    return tmp_path


def _alias(state, change):
    with closing(sqlite3.connect(state / DATABASE)) as base, base:
        base.execute(change)


def test_what_was_noted_is_read_whole(state):
    write_champion_cache(state, VERSION)
    assert read_champion_cache(state, "eta") == VERSION


def test_without_a_note_the_registry_must_be_asked(state):
    assert read_champion_cache(state, "eta") is None
    write_champion_cache(state, VERSION)
    assert read_champion_cache(state, "other") is None
    clear_champion_cache(state, "eta")
    assert read_champion_cache(state, "eta") is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE registered_model_aliases SET version = 4",
        "DELETE FROM registered_model_aliases",
        "DROP TABLE registered_model_aliases",
    ],
)
def test_an_alias_moved_by_another_program_makes_the_note_stale(state, change):
    write_champion_cache(state, VERSION)
    _alias(state, change)
    assert read_champion_cache(state, "eta") is None
    assert noted_champion(state, "eta") == "3"


def test_without_a_database_the_note_does_not_count(state):
    write_champion_cache(state, VERSION)
    (state / DATABASE).unlink()
    assert read_champion_cache(state, "eta") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema_version": 2, "models": {}}', '{"schema_version": 1}']
)
def test_a_note_that_cannot_be_read_is_no_note(state, text):
    (state / "champion.json").write_text(text)
    assert read_champion_cache(state, "eta") is None
    write_champion_cache(state, VERSION)
    assert read_champion_cache(state, "eta") == VERSION


def test_a_note_that_lacks_something_is_no_note(state):
    write_champion_cache(state, VERSION)
    note = json.loads((state / "champion.json").read_text())
    del note["models"]["eta"]["digest"]
    (state / "champion.json").write_text(json.dumps(note))
    assert read_champion_cache(state, "eta") is None


@pytest.mark.parametrize("note", [[1], "3", None, {}, {"version": 3}, {"metrics": []}])
def test_a_note_of_another_shape_is_no_note(state, note):
    write_champion_cache(state, VERSION)
    whole = json.loads((state / "champion.json").read_text())
    damaged = {**whole["models"]["eta"], **note} if isinstance(note, dict) and note else note
    (state / "champion.json").write_text(json.dumps({**whole, "models": {"eta": damaged}}))
    assert read_champion_cache(state, "eta") is None
    assert noted_champion(state, "eta") in {None, VERSION.version}


def test_a_note_nested_too_deeply_is_no_note(state):
    (state / "champion.json").write_text("[" * 100_000)
    assert noted_champion(state, "eta") is None


def test_reading_it_loads_no_mlflow():
    code = (
        "import sys\n"
        "from ml_pipeline.adapters.local import champion_cache, registry\n"
        "print({'mlflow', 'sqlalchemy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
