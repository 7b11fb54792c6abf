"""State handed on: whole, without tokens, and refused where it does not belong."""

import fcntl
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from ml_pipeline.cli.app import app
from ml_pipeline.cli.ending import ended
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.session import snapshots
from ml_pipeline.session.snapshots import Beginning
from tests.fakes.written_runs import MODEL, tree, written_run


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """State with a database that has unwritten changes in its log, and a token."""
    folder = tmp_path / "state"
    (folder / "platform" / "deployments" / "v1").mkdir(parents=True)
    for name in ("platform/token", "run.lock", "envs/a/python", "cache/lint/x", "champion.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("canary", encoding="utf-8")
    (folder / "platform" / "deployments" / "v1" / "model.onnx").write_text("a model")
    return folder


def test_state_goes_without_tokens_locks_and_what_can_be_made_again(
    state: Path, tmp_path: Path
) -> None:
    snapshots.export_state(state, written_run(tmp_path / "runs").parent, MODEL, tmp_path / "out")
    assert set(tree(tmp_path / "out")) == {
        "snapshot.json",
        "state/champion.json",
        "state/platform/deployments/v1/model.onnx",
        *(f"runs/first/{name}" for name in tree(tmp_path / "runs" / "first")),
    }


def test_a_database_in_use_is_copied_as_of_one_moment(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE versions (number INTEGER)")
        database.execute("INSERT INTO versions VALUES (7)")
        database.commit()  # and still only in the write-ahead log
        snapshots.export_state(state, tmp_path / "no-runs", MODEL, tmp_path / "out")
    assert sorted(one.name for one in (tmp_path / "out" / "state").glob("mlflow*")) == ["mlflow.db"]
    with closing(sqlite3.connect(tmp_path / "out" / "state" / "mlflow.db")) as copy:
        assert copy.execute("SELECT number FROM versions").fetchall() == [(7,)]


def _given(state: Path, tmp_path: Path, **label: object) -> Path:
    given = tmp_path / "given"
    snapshots.export_state(state, written_run(tmp_path / "runs").parent, MODEL, given)
    marker = given / "snapshot.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), **label}))
    return given


def test_state_comes_back_once_where_there_is_none(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        database.execute("CREATE TABLE versions (number INTEGER)")
    target, runs = tmp_path / "fresh", tmp_path / "fresh-runs"
    given = _given(state, tmp_path, folder=str(target))
    assert snapshots.import_state(given, target, runs, MODEL) is Beginning.TAKEN
    assert tree(runs) == tree(tmp_path / "runs")
    assert set(tree(target)) == {
        "champion.json",
        "imported.json",
        "mlflow.db",
        "platform/deployments/v1/model.onnx",
    }
    assert not (target / "platform").stat().st_mode & 0o077, "what serves is nobody else's"
    (target / "champion.json").write_text("newer")
    assert snapshots.import_state(given, target, runs, MODEL) is Beginning.KNOWN
    assert (target / "champion.json").read_text() == "newer", "later calls go on with it"


def test_state_knows_every_snapshot_that_was_written_from_it(state: Path, tmp_path: Path) -> None:
    """An engine that lasts is given last week's snapshot, and its volume has gone on since."""
    runs = tmp_path / "runs"
    for week in ("1", "2"):
        snapshots.export_state(state, runs, MODEL, tmp_path / week)
    for week in ("1", "2"):
        assert snapshots.import_state(tmp_path / week, state, runs, MODEL) is Beginning.KNOWN


def test_a_snapshot_of_what_a_snapshot_became_is_known_to_both(state: Path, tmp_path: Path) -> None:
    snapshots.export_state(state, tmp_path / "runs", MODEL, tmp_path / "1")
    shutil.rmtree(state)
    snapshots.import_state(tmp_path / "1", state, tmp_path / "runs", MODEL)
    snapshots.export_state(state, tmp_path / "runs", MODEL, tmp_path / "2")
    for week in ("1", "2"):
        known = snapshots.known_beginning(tmp_path / week, state, MODEL)
        assert known is Beginning.KNOWN


def test_state_never_overwrites_state_of_another_origin(state: Path, tmp_path: Path) -> None:
    snapshots.export_state(state, tmp_path / "runs", MODEL, tmp_path / "given")
    (state / "imported.json").unlink()
    before = tree(state)
    with pytest.raises(ConfigurationError, match="holds state already"):
        snapshots.import_state(tmp_path / "given", state, tmp_path / "runs", MODEL)
    assert tree(state) == before


def test_what_an_export_leaves_out_an_import_leaves_out_too(state: Path, tmp_path: Path) -> None:
    target = tmp_path / "fresh"
    given = _given(state, tmp_path, folder=str(target))
    own = ("token", "platform.json", "logs/supervisor.log")
    for name in (
        *(f"platform/{one}" for one in own),
        "envs/x/python",
        "cache/lint/k/result.json",
        "run.holder",
        "imported.json",
        ".importing/x",
        "mlflow.db-wal",
    ):
        path = given / "state" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("canary", encoding="utf-8")
    snapshots.import_state(given, target, tmp_path / "fresh-runs", MODEL)
    assert set(tree(target)) == {
        "champion.json",
        "imported.json",
        "platform/deployments/v1/model.onnx",
    }
    assert "canary" not in (target / "imported.json").read_text()


@pytest.mark.parametrize("name", ["state/registry.db", "runs/first/passwords", "state/platform"])
def test_a_link_in_state_is_not_followed(state: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "fresh"
    given = _given(state, tmp_path, folder=str(target))
    shutil.rmtree(given / name, ignore_errors=True)
    (given / name).symlink_to("/etc/passwd" if name.endswith("s") else tmp_path)
    with pytest.raises(ConfigurationError, match="is a symbolic link"):
        snapshots.import_state(given, target, tmp_path / "fresh-runs", MODEL)
    assert not target.exists()
    assert not (tmp_path / "fresh-runs").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:16] + b"garbage",
        lambda whole: b"another file",
        lambda whole: whole[:4200] + bytes(len(whole) - 4200),
    ],
    ids=["cut off", "no header", "no database", "no pages"],
)
def test_a_damaged_database_is_refused_and_a_good_one_taken_next(
    state: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    with closing(sqlite3.connect(state / "mlflow.db")) as database:
        database.execute("CREATE TABLE versions (number INTEGER)")
        database.executemany("INSERT INTO versions VALUES (?)", ((one,) for one in range(9000)))
        database.commit()
    target, runs = tmp_path / "fresh", tmp_path / "fresh-runs"
    given = _given(state, tmp_path, folder=str(target))
    whole = (given / "state" / "mlflow.db").read_bytes()
    (given / "state" / "mlflow.db").write_bytes(damage(whole))
    with pytest.raises(DataError, match=r"mlflow\.db is damaged"):
        snapshots.import_state(given, target, runs, MODEL)
    assert tree(target) == {}
    (given / "state" / "mlflow.db").write_bytes(whole)
    assert snapshots.import_state(given, target, runs, MODEL) is Beginning.TAKEN


def test_an_import_that_was_killed_while_it_copied_begins_again(
    state: Path, tmp_path: Path
) -> None:
    target, runs = tmp_path / "fresh", tmp_path / "fresh-runs"
    given = _given(state, tmp_path, folder=str(target))
    for folder in (target, runs):
        (folder / ".importing").mkdir(parents=True)
        (folder / ".importing" / "champion.json").write_text("half of it")
    assert snapshots.import_state(given, target, runs, MODEL) is Beginning.TAKEN
    assert (target / "champion.json").read_text() == "canary"
    assert tree(runs) == tree(given / "runs")


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_import_that_was_killed_in_its_last_step_is_finished_by_the_next(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    target, runs = tmp_path / "fresh", tmp_path / "fresh-runs"
    given = _given(state, tmp_path, folder=str(target))
    replace, done = Path.replace, []

    def killed(path: Path, place: Path) -> Path:
        if ".importing" in path.parts:
            if len(done) == moved:
                raise KeyboardInterrupt
            done.append(path)
        return replace(path, place)

    with monkeypatch.context() as kill:
        kill.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            snapshots.import_state(given, target, runs, MODEL)
    assert snapshots.import_state(given, target, runs, MODEL) is Beginning.KNOWN
    assert (target / "champion.json").read_text() == "canary"
    assert (target / "platform" / "deployments" / "v1" / "model.onnx").exists()
    assert tree(runs) == tree(given / "runs")
    assert not (target / ".importing").exists()


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ({"model": "other"}, "is state of other in format 2"),
        ({"format": 9}, "is state of delivery in format 9"),
        ({"folder": "/elsewhere"}, "was kept in /elsewhere"),
    ],
)
def test_state_of_another_project_version_or_place_is_refused(
    state: Path, tmp_path: Path, label: dict[str, object], reason: str
) -> None:
    target = tmp_path / "fresh"
    given = _given(state, tmp_path, **{"folder": str(target), **label})
    with pytest.raises(ConfigurationError, match=reason):
        snapshots.import_state(given, target, tmp_path / "fresh-runs", MODEL)
    assert not target.exists()


def test_an_empty_folder_is_the_state_of_a_project_that_never_ran(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    beginning = snapshots.import_state(tmp_path / "given", tmp_path / "s", tmp_path / "r", MODEL)
    assert beginning is Beginning.NONE


def test_any_other_folder_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "x").touch()
    with pytest.raises(ConfigurationError, match="is no state"):
        snapshots.import_state(tmp_path / "given", tmp_path / "s", tmp_path / "r", MODEL)


EXAMPLE = Path(__file__).parents[2] / "examples" / "freshmart"


def _import(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    folders = ["--source", EXAMPLE, "--state", tmp_path / "state", "--runs", tmp_path / "runs"]
    line = ["ml-pipeline", "platform", "import", given, *folders, *words]
    monkeypatch.setattr("sys.argv", [str(one) for one in line])
    return ended(app)


@pytest.mark.parametrize("known", ["an empty folder", "a snapshot of it"])
def test_where_nothing_is_to_be_taken_nobody_is_waited_for(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: str
) -> None:
    """`abort --state` reaches its own `--wait`, whatever holds the project."""
    given = tmp_path / "given"
    given.mkdir()
    if known != "an empty folder":
        model = "freshmart-delivery-time"
        snapshots.export_state(state, tmp_path / "runs", model, given)
    with FileLock(state / "run.lock"):
        assert _import(given, tmp_path, monkeypatch) == 0


def test_an_import_waits_for_the_run_that_holds_the_project_when_asked_to(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "given"
    snapshots.export_state(state, tmp_path / "runs", "freshmart-delivery-time", given)
    shutil.rmtree(state)
    state.mkdir()
    held = (state / "run.lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)  # as another process holds it
    assert _import(given, tmp_path, monkeypatch) == 7
    run = threading.Timer(0.3, held.close)
    run.start()
    assert _import(given, tmp_path, monkeypatch, "--wait") == 0
    run.join()
    assert (state / "champion.json").exists()
