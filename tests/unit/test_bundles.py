"""Registered bundles on disk: used only as they were registered."""

import shutil
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.bundles import CachedBundles
from ml_pipeline.domain.errors import DataError
from ml_pipeline.ports.registry import ModelVersion
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry


class CountingRegistry(FakeRegistry):
    fetched = 0

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        self.fetched += 1
        return super().fetch(version, target)


class CarelessRegistry(CountingRegistry):
    """Hands out what it has, whatever was registered."""

    def fetch(self, version: ModelVersion, target: Path) -> Path:
        self.fetched += 1
        shutil.copytree(self.folder / version.model / version.version, target)
        return target


def registered(
    tmp_path: Path, kind: type[CountingRegistry]
) -> tuple[CountingRegistry, ModelVersion]:
    bundle = tmp_path / "bundle"
    (bundle / "package").mkdir(parents=True)
    (bundle / "package" / "package.json").write_text("as registered")
    registry = kind(tmp_path / "registry", FakeClock())
    return registry, registry.register("m", bundle, run_id="r", metrics={}, tags={})


def cached(tmp_path: Path, registry: FakeRegistry) -> CachedBundles:
    """As a process of its own has it."""
    return CachedBundles(lambda: registry, tmp_path / "bundles")


def manifest(folder: Path) -> Path:
    return folder / "package" / "package.json"


def test_a_bundle_is_fetched_once(tmp_path):
    registry, version = registered(tmp_path, CountingRegistry)
    first = cached(tmp_path, registry).folder(version)
    assert cached(tmp_path, registry).folder(version) == first
    assert registry.fetched == 1


@pytest.mark.parametrize("damage", ["edited", "added", "removed", "link"])
def test_a_copy_that_was_changed_is_thrown_away_and_fetched_again(tmp_path, damage):
    registry, version = registered(tmp_path, CountingRegistry)
    folder = cached(tmp_path, registry).folder(version)
    if damage == "edited":
        manifest(folder).write_text("edited afterwards")
    elif damage == "added":
        (folder / "package" / "more").write_text("")
    else:
        manifest(folder).unlink()
    if damage == "link":
        manifest(folder).symlink_to(tmp_path / "bundle" / "package" / "package.json")
    again = cached(tmp_path, registry).folder(version)
    assert manifest(again).read_text() == "as registered"
    assert not manifest(again).is_symlink()
    assert sorted(one.name for one in manifest(again).parent.iterdir()) == ["package.json"]
    assert registry.fetched == 2


def test_what_the_registry_hands_out_is_compared_too(tmp_path):
    registry, version = registered(tmp_path, CarelessRegistry)
    manifest(registry.folder / "m" / "1").write_text("edited in the registry")
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"m version 1, .* is not what was registered"
        ) as caught:
            cached(tmp_path, registry).folder(version)
        assert "register it again" in caught.value.remedy
    assert registry.fetched == 2
