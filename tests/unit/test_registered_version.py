"""A run's evidence names a version of the registry it ran with, and may meet another one."""

from pathlib import Path

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.ports.registry import version_of
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry


def _registry(folder: Path, content: str) -> FakeRegistry:
    """A registry that knows one version of `m`."""
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "model.onnx").write_text(content)
    registry = FakeRegistry(folder / "registry", FakeClock())
    registry.register("m", bundle, run_id="first", metrics={}, tags={})
    return registry


def test_the_version_a_run_registered_is_found_in_its_registry(tmp_path: Path) -> None:
    registry = _registry(tmp_path, "a model")
    known = registry.known["m", "1"]
    assert version_of(registry, "m", {"version": "1", "digest": known.digest}) == known


def test_a_registry_that_never_saw_the_run_is_not_said_to_have_archived_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no version 2 of m .*: the run registered") as told:
        version_of(_registry(tmp_path, "a model"), "m", {"version": "2", "digest": "x"})
    assert "--state" in told.value.remedy


def test_a_version_of_the_same_number_in_another_registry_is_another_model(tmp_path: Path) -> None:
    ours, theirs = _registry(tmp_path / "1", "a model"), _registry(tmp_path / "2", "another")
    digest = theirs.known["m", "1"].digest
    with pytest.raises(DataError, match=r"version 1 of m .* is another model") as told:
        version_of(ours, "m", {"version": "1", "digest": digest})
    assert "--state" in told.value.remedy
