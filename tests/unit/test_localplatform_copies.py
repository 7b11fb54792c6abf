"""The platform's copies of packages are served only as they were deployed."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from ml_pipeline.localplatform.fleet import DeploymentWish, Fleet
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.programs import server_command
from ml_pipeline.localplatform.records import DeploymentRecord, Endpoint
from ml_pipeline.localplatform.store import Store
from ml_pipeline.serving import server
from tests.fakes.packages import linear_onnx, package

SERVER = "ml_pipeline.serving.server"


@pytest.fixture
def copied(tmp_path) -> DeploymentRecord:
    """What the platform recorded of a deployment whose server was stopped at once."""
    folder = Folder(tmp_path / "state")
    for each in (folder.deployments, folder.logs, folder.ready):
        each.mkdir(parents=True)
    store = Store(folder.database)
    wish = DeploymentWish(
        endpoint=Endpoint.STAGING,
        slot="v" * 63,
        model="m",
        version="7" * 63,
        digest="d" * 64,
        package=package(tmp_path, linear_onnx()),
        chaos="",
    )

    async def deployed() -> None:
        fleet = Fleet(folder, store, SERVER, lambda: None)
        await fleet.deploy(wish)
        await fleet.stop()

    asyncio.run(deployed())
    found = store.snapshot().find(Endpoint.STAGING, wish.slot)
    store.close()
    return found


def started(record: DeploymentRecord, tmp_path) -> int:
    """The exit code of its model server, started as the platform starts it, on a port taken."""
    command = server_command(SERVER, record, tmp_path / "ready.json")
    return server.main([*command[command.index(SERVER) + 1 :], "--host", "256.0.0.1"])


def edit(record: DeploymentRecord) -> None:
    """Another model, with a manifest that agrees with it."""
    copy = Path(record.package)
    content = linear_onnx(constant=100.0)
    (copy / "model.onnx").write_bytes(content)
    manifest = json.loads((copy / "package.json").read_text())
    sha256 = hashlib.sha256(content).hexdigest()
    manifest["files"]["model.onnx"] = {"sha256": sha256, "bytes": len(content)}
    (copy / "package.json").write_text(json.dumps(manifest))


def test_a_copy_that_was_edited_with_its_manifest_does_not_come_up(copied, tmp_path, caplog):
    edit(copied)
    assert started(copied, tmp_path) == 5
    assert "package.json is not the one that was deployed" in caplog.text
    assert f"Remove the copy {copied.package}" in caplog.text


def test_a_copy_as_it_was_deployed_is_loaded(copied, tmp_path, caplog):
    assert started(copied, tmp_path) == 7
    assert "nothing can listen on 256.0.0.1" in caplog.text


def test_a_platform_whose_folder_was_moved_serves_what_it_served(copied, tmp_path):
    (tmp_path / "state").rename(tmp_path / "elsewhere")
    folder = Folder(tmp_path / "elsewhere")
    store = Store(folder.database)

    async def come_up() -> None:
        fleet = Fleet(folder, store, SERVER, lambda: None)
        fleet.start()
        await fleet.stop()

    asyncio.run(come_up())
    (found,) = store.snapshot().deployments
    store.close()
    assert Path(found.package) == folder.deployments / Path(copied.package).name
    assert started(found, tmp_path) == 7, "it is loaded, and its port is taken"
