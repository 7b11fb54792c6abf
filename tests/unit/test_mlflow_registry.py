"""What is particular to MLflow on SQLite: its file, its faults, and what its own UI shows."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from sqlalchemy.exc import OperationalError

from ml_pipeline.adapters.local.champion_cache import DATABASE, read_champion_cache
from ml_pipeline.adapters.local.mlflow_database import MlflowDatabase
from ml_pipeline.adapters.local.registry import MlflowRegistry
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.registry import CHAMPION
from tests.fakes.clock import FakeClock
from tests.fakes.mlflow_databases import damage, fresh, template
from tests.fakes.projects import write_files


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory):
    return template(tmp_path_factory.getbasetemp() / "mlflow-template")


@pytest.fixture
def state(tmp_path, mlflow_template):
    fresh(mlflow_template, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def registry(state):
    return MlflowRegistry(state, FakeClock())


@pytest.fixture
def champion(registry, tmp_path):
    bundle = write_files(tmp_path / "bundle", {"model.onnx": "trees"})
    made = registry.register(
        "eta", bundle, run_id="run-1", metrics={"mae": 4.5}, tags={"commit": "abc", "verdict": ""}
    )
    registry.set_alias("eta", CHAMPION, made.version)
    return made


def _in_database(state, question, *values):
    with closing(sqlite3.connect(state / DATABASE)) as base, base:
        return base.execute(question, values).fetchall()


@pytest.mark.parametrize("text", ["", "four", "nan", "inf"])
def test_a_metric_that_is_no_finite_number_is_never_read_as_one(registry, champion, state, text):
    _in_database(state, "UPDATE model_version_tags SET value = ? WHERE key = 'metric.mae'", text)
    with pytest.raises(DataError, match=r"version 1: metric\.mae"):
        registry.champion("eta")


def test_a_version_registered_by_another_program_is_not_taken_for_ours(registry, champion, state):
    _in_database(state, "DELETE FROM model_version_tags WHERE key = 'ml_pipeline.digest'")
    with pytest.raises(DataError, match="was not registered here"):
        registry.champion("eta")


def test_a_metric_that_is_not_finite_is_not_stored(registry, champion):
    with pytest.raises(DataError, match="mae"):
        registry.store_metrics("eta", "1", {"mae": float("nan")})
    assert registry.champion("eta").metrics == {"mae": 4.5}


@pytest.mark.parametrize("name", ["metric.mae", "ml_pipeline.digest"])
def test_the_registrys_own_tags_cannot_be_overwritten(registry, champion, name):
    with pytest.raises(ConfigurationError, match=name):
        registry.tag("eta", "1", {name: "0"})


def test_a_file_that_vanished_is_an_outage_and_no_first_model(registry, champion, state):
    for path in state.glob(f"{DATABASE}*"):
        path.unlink()
    with pytest.raises(PlatformUnavailableError, match="is gone, although version 1"):
        MlflowRegistry(state, FakeClock()).champion("eta")
    (state / DATABASE).touch()
    with pytest.raises(PlatformUnavailableError, match="is gone"):
        MlflowRegistry(state, FakeClock()).versions("eta")


def test_a_file_that_was_replaced_while_open_is_an_outage(registry, champion, state):
    other = state / "other"
    other.write_bytes((state / DATABASE).read_bytes())
    other.replace(state / DATABASE)
    with pytest.raises(PlatformUnavailableError, match="replaced while it was open"):
        registry.champion("eta")


def test_a_damaged_file_is_an_outage_for_whoever_has_it_open_too(registry, champion, state):
    damage(state)
    with pytest.raises(PlatformUnavailableError):
        registry.champion("eta")


def test_a_database_of_an_older_mlflow_is_refused_with_the_way_out(state):
    _in_database(state, "UPDATE alembic_version SET version_num = 'older'")
    with pytest.raises(PlatformRefusedError) as raised:
        MlflowRegistry(state, FakeClock()).champion("eta")
    assert "mlflow db upgrade" in raised.value.remedy


def test_readers_do_not_wait_for_writers(registry, champion, state):
    assert _in_database(state, "PRAGMA journal_mode") == [("wal",)]


def test_a_file_another_program_holds_is_said_to_be_locked(state):
    """SQLAlchemy's own words tell of its session, and the lock only in the cause."""
    wrapped = OperationalError("(raised as a result of autoflush) INSERT", None, Exception())
    wrapped.__cause__ = sqlite3.OperationalError("database is locked")
    with (
        pytest.raises(
            PlatformUnavailableError, match="to register eta: database is locked"
        ) as told,
        MlflowDatabase(state / DATABASE).asked("to register eta"),
    ):
        raise wrapped
    assert "no other program holds the file" in told.value.remedy


def test_mlflows_own_pages_show_a_run_with_metrics_and_parameters(champion, state):
    from mlflow import MlflowClient

    address = f"sqlite:///{state / DATABASE}"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    version = client.get_model_version_by_alias("eta", CHAMPION)
    run = client.get_run(version.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "eta"
    assert run.info.artifact_uri.startswith(state.as_uri())
    assert (run.info.run_name, run.info.status) == ("run-1", "FINISHED")
    assert (run.data.metrics, run.data.params["commit"]) == ({"mae": 4.5}, "abc")


def test_the_note_of_the_champion_follows_the_registry(registry, champion, state, tmp_path):
    assert read_champion_cache(state, "eta") == registry.champion("eta")
    registry.store_metrics("eta", "1", {"mae": 4.25})
    registry.tag("eta", "1", {"promoted_at": "today"})
    assert read_champion_cache(state, "eta") == registry.champion("eta")
    other = write_files(tmp_path / "other", {"model.onnx": "more trees"})
    second = registry.register("eta", other, run_id="run-2", metrics={}, tags={})
    assert read_champion_cache(state, "eta").version == "1"
    registry.set_alias("eta", CHAMPION, second.version)
    assert read_champion_cache(state, "eta").version == "2"
    registry.clear_alias("eta", CHAMPION)
    assert read_champion_cache(state, "eta") is None


FIRST_QUESTION = """
import sys
from pathlib import Path
called = []
sys.addaudithook(lambda name, given: called.append(given) if name == "socket.connect"
                 or name == "socket.getaddrinfo" else None)
from ml_pipeline.adapters.local.registry import MlflowRegistry
from tests.fakes.clock import FakeClock
registry = MlflowRegistry(Path(sys.argv[1]), FakeClock())
before = "mlflow" in sys.modules
made = registry.register("eta", Path(sys.argv[2]), run_id=sys.argv[3], metrics={}, tags={})
print(before, called)
"""


def test_processes_that_make_the_database_at_once_both_succeed_and_call_nobody(tmp_path):
    bundle = write_files(tmp_path / "bundle", {"model.onnx": "trees"})
    signs = ("CI", "PYTEST_CURRENT_TEST", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK")
    environ = {name: value for name, value in os.environ.items() if name not in signs}  # noqa: TID251
    both = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST_QUESTION, str(tmp_path / "state"), str(bundle), run],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run in ("run-1", "run-2")
    ]
    said = [process.communicate(timeout=240) for process in both]
    assert said == [("False []\n", ""), ("False []\n", "")]
    versions = MlflowRegistry(tmp_path / "state", FakeClock()).versions("eta")
    assert {one.run_id for one in versions} == {"run-1", "run-2"}
