"""The example projects stand alone, and their configuration is one the pipeline reads."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_pipeline.settings.loading import load

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("freshmart", "flights")
FRESHMART = EXAMPLES / "freshmart"
GENERATOR = FRESHMART / "tests" / "generate_test_data.py"
SETTINGS = {"freshmart": "pyproject.toml", "flights": "ml-pipeline.toml"}
WRITTEN = {".py", ".toml", ".txt", ".md", ".ini"}
LEAKS = {"dep_time", "arr_time", "sched_arr_time", "air_time", "arr_delay"}


def _texts(name: str) -> dict[str, str]:
    """What an example consists of, whatever runs may have left in its folder aside."""
    folder = EXAMPLES / name
    texts = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.suffix in WRITTEN and parts[0] != "runs" and not parts[0].startswith("."):
            texts["/".join(parts)] = path.read_text(encoding="utf-8")
    return texts


def _python(*argv: object) -> None:
    """Without site-packages: what runs in it needs nothing but the standard library."""
    bare = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-I", "-S", *map(str, argv)], env=bare, check=True)


def _generated(target: Path, *, rows: int, seed: int) -> Path:
    _python(GENERATOR, "--n-rows", rows, "--seed", seed, "--output", target)
    return target


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_is_accepted_as_a_whole(name) -> None:
    settings = load(EXAMPLES / name, environ={})
    assert settings.file == EXAMPLES / name / SETTINGS[name]
    assert settings.profile == "laptop"
    assert settings.data.bootstrap_cutoff is not None
    assert settings.checks.lint
    assert settings.checks.unit_test is not None
    assert settings.staging.integration_test is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_column_a_model_learns_from_is_checked(name) -> None:
    data = load(EXAMPLES / name, environ={}).data
    assert {*data.features, data.target, data.time_column, *data.key_columns} == set(data.columns)


@pytest.mark.parametrize("name", NAMES)
def test_commands_name_scripts_that_exist(name) -> None:
    settings = load(EXAMPLES / name, environ={})
    commands = [
        settings.data.fetch,
        settings.data.prepare,
        settings.data.generate,
        settings.train.command,
        settings.staging.integration_test,
    ]
    scripts = [word for argv in commands if argv for word in argv if word.endswith(".py")]
    assert len(scripts) >= 3
    assert [word for word in scripts if not (EXAMPLES / name / word).is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_integration_tests_are_told_where_and_how_many(name) -> None:
    argv = load(EXAMPLES / name, environ={}).staging.integration_test
    assert {"{endpoint}", "{samples}"} <= set(argv)


def test_options_of_freshmarts_integration_tests_exist() -> None:
    argv = load(FRESHMART, environ={}).staging.integration_test
    options = {word for word in argv if word.startswith("--")}
    declared = (FRESHMART / "tests" / "integration" / "conftest.py").read_text(encoding="utf-8")
    assert options == set(re.findall(r'addoption\("(--[a-z-]+)"', declared))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_knows_the_pipeline_by_its_configuration_alone(name) -> None:
    texts = _texts(name)
    code = {path: text for path, text in texts.items() if path.endswith(".py")}
    assert len(code) >= 5
    assert [path for path, text in code.items() if re.search(r"ml.pipeline", text)] == []
    needs = [text for path, text in texts.items() if path.startswith("requirements")]
    assert not any("ml-pipeline" in text for text in needs)
    assert '"ml-pipeline' not in texts.get("pyproject.toml", "")


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_leave_behind_is_ignored(name) -> None:
    ignored = (EXAMPLES / name / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"runs/", ".ml-pipeline/"} <= set(ignored)


def test_flights_learns_nothing_that_is_known_only_after_departure() -> None:
    data = load(EXAMPLES / "flights", environ={}).data
    assert not LEAKS & set(data.features)


def test_deliveries_are_the_same_for_the_same_seed(tmp_path) -> None:
    one, same, other = (
        _generated(tmp_path / f"{number}.csv", rows=300, seed=seed).read_bytes()
        for number, seed in enumerate((4, 4, 5))
    )
    assert one == same
    assert one != other


def test_generated_deliveries_become_the_table_the_settings_describe(tmp_path) -> None:
    raw, table = _generated(tmp_path / "raw.csv", rows=500, seed=0), tmp_path / "table.csv"
    _python(FRESHMART / "src" / "features.py", "--input", raw, "--output", table)
    data = load(FRESHMART, environ={}).data
    rows = _rows(table)
    assert len(rows) == 500
    assert set(rows[0]) == set(data.columns)
    for name, column in data.columns.items():
        if column.min is not None and column.max is not None:
            values = [float(row[name]) for row in rows]
            assert column.min <= min(values) <= max(values) <= column.max, name


def test_the_newest_deliveries_are_unlike_those_the_first_champion_knows(tmp_path) -> None:
    """Else a model trained later had nothing to be better by."""
    rows = _rows(_generated(tmp_path / "raw.csv", rows=2000, seed=1))
    cutoff = load(FRESHMART, environ={}).data.bootstrap_cutoff.strftime("%Y-%m-%dT%H:%M:%SZ")
    before = [float(row["traffic_index"]) for row in rows if row["ordered_at"] < cutoff]
    newest = [float(row["traffic_index"]) for row in rows[-400:]]
    assert len(before) >= 500
    assert sum(newest) / len(newest) > 1.15 * sum(before) / len(before)
