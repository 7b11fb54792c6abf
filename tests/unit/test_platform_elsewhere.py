"""State that another call serves: said before training is paid for, and nothing is begun."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from filelock import FileLock

from ml_pipeline.adapters.local.evidence import LocalRuns
from ml_pipeline.cli.app import app
from ml_pipeline.cli.ending import ended
from ml_pipeline.domain.errors import BusyError
from ml_pipeline.localplatform import asking
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.ports.registry import CHAMPION, REPLACED
from ml_pipeline.session import recovery
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry

EXAMPLE = Path(__file__).parents[2] / "examples" / "freshmart"


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State as a container leaves it to others whose loopback is its own."""
    monkeypatch.setattr(asking, "UNREACHABLE_S", 0.1)
    folder = Folder(tmp_path / "state")
    folder.make()
    folder.token.write_text("t")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder.address.write_text(json.dumps({"admin_url": f"http://127.0.0.1:{port}"}))
    with FileLock(folder.lock):
        yield folder.state


def test_a_release_ends_before_its_first_stage(
    held: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    words = ["full-pipeline", "--source", EXAMPLE, "--state", held, "--runs", runs]
    monkeypatch.setattr("sys.argv", ["ml-pipeline", *map(str, words)])
    assert ended(app) == 7
    assert "another call serves this state" in capsys.readouterr().err
    assert not runs.exists()


class _OutOfReach:
    """What a rollback is given, where the platform cannot be reached."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.registry = FakeRegistry(folder / "registry", self.clock)
        self.runs = LocalRuns(folder / "runs", self.clock)
        self.bundles = None

    @property
    def production_host(self) -> NoReturn:
        raise BusyError("another call serves this state", remedy="End it.")

    router = production_host


def test_a_rollback_that_cannot_reach_the_platform_begins_nothing(tmp_path: Path) -> None:
    wiring = _OutOfReach(tmp_path)
    for name in ("old", "new"):
        bundle = tmp_path / name
        bundle.mkdir()
        (bundle / "model").write_text(name)
        wiring.registry.register("m", bundle, run_id=name, metrics={}, tags={})
    wiring.registry.set_alias("m", CHAMPION, "2")
    wiring.registry.tag("m", "2", {REPLACED: "1"})
    session = SimpleNamespace(
        wiring=wiring,
        settings=SimpleNamespace(model="m"),
        clock=wiring.clock,
        new_run_id=lambda: "now",
    )
    with pytest.raises(BusyError):
        recovery.roll_back(session, "worse")  # type: ignore[arg-type]
    assert not wiring.runs.root.exists()
