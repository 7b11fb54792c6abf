"""The embedded platform with the model server it really runs, from deployment to rollback."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ml_pipeline.localplatform import control
from ml_pipeline.ports.registry import ModelVersion
from tests.fakes.packages import line, line_package, linear_onnx, package
from tests.fakes.platforms import LocalWorld, eventually

pytestmark = pytest.mark.e2e
ROW = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, -2.0]]}}


@pytest.fixture
def world(tmp_path):
    made = LocalWorld(tmp_path, server=control.UpOptions().server)
    made.up(for_run=True)
    try:
        yield made
    finally:
        made.down()


def folder_in(world, name: str):
    return Path(tempfile.mkdtemp(prefix=name, dir=world.folder))


def figures(world, slot: str, start, end):
    def look():
        found = world.traffic.window(slot, start, end, 500)
        return found if found.as_of >= end else None

    return eventually(look)


def deploy(world, host, slot: str, *, constant: float = 1.0, chaos: str = "") -> None:
    made = package(folder_in(world, slot), linear_onnx(constant=constant))
    version = ModelVersion(
        model="m",
        version=slot.removeprefix("v"),
        uri="",
        digest="d" * 64,
        run_id="r",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    host.deploy(slot, version, made, chaos=chaos)
    eventually(lambda: host.health(slot), within_s=120)


def test_a_model_goes_from_staging_to_users_and_back_when_it_harms_them(world):
    deploy(world, world.staging, "v1")
    assert list(world.staging.predict("v1", ["a", "b"], [[1.5, -2.0]])) == [line(1.5, -2.0)]

    deploy(world, world.production, "v1")
    world.router.set_weights({"v1": 100})
    url = world.router.endpoint().url
    assert httpx.post(url, json=ROW).json()["predictions"] == [line(1.5, -2.0)]

    deploy(world, world.production, "v2", constant=100.0, chaos="errors=0.5")
    world.router.hold("run-1", fallback={"v1": 100}, lease_s=60)
    world.router.set_weights({"v1": 50, "v2": 50})
    start = world.clock.now()
    answers = [httpx.post(url, json=ROW) for _ in range(60)]
    end = world.clock.now()
    seen = {slot: figures(world, slot, start, end) for slot in ("v1", "v2")}
    world.router.set_weights({"v1": 100})
    world.router.commit("run-1")
    world.production.remove("v2")

    by_slot = {slot: [a for a in answers if a.headers["X-Model-Slot"] == slot] for slot in seen}
    assert all(seen[slot].requests == len(found) > 0 for slot, found in by_slot.items())
    assert seen["v1"].errors == 0
    assert seen["v2"].errors == len(by_slot["v2"]) // 2
    good = [a for a in by_slot["v2"] if a.status_code == 200]
    assert {a.json()["predictions"][0] for a in good} == {line(1.5, -2.0) + 99.0}
    assert {a.headers["X-Model-Version"] for a in by_slot["v2"]} == {"2"}
    assert httpx.post(url, json=ROW).headers["X-Model-Slot"] == "v1"


def test_a_package_whose_files_were_changed_does_not_come_up_and_says_why(world):
    made = line_package(folder_in(world, "v1"))
    model = next(path for path in made.iterdir() if path.suffix == ".onnx")
    model.write_bytes(model.read_bytes() + b"x")
    version, _ = world.version("v1")
    world.staging.deploy("v1", version, made)
    eventually(lambda: "given up" in world.staging.failure("v1"), within_s=120)
    assert model.name in world.staging.failure("v1")
