"""Every artifact store: what was put comes back, or not at all."""

from hashlib import sha256

import pytest

from ml_pipeline.adapters.local.artifacts import LocalArtifacts
from ml_pipeline.domain.errors import DataError
from tests.emulators.azureml_cases import AzuremlStore
from tests.emulators.sagemaker_driver import sagemaker_artifacts
from tests.emulators.vertex_cases import VertexStore
from tests.fakes.artifacts import FakeArtifacts
from tests.fakes.projects import write_files


@pytest.fixture(
    params=[LocalArtifacts, FakeArtifacts, AzuremlStore, sagemaker_artifacts, VertexStore],
    ids=["local", "fake", "azureml", "sagemaker", "vertex"],
)
def store(request, tmp_path):
    made = request.param(tmp_path / "store")
    yield made
    getattr(made, "clean", lambda: None)()


@pytest.fixture
def model(tmp_path):
    return write_files(tmp_path, {"model.skops": "trees"}) / "model.skops"


def test_a_file_comes_back_as_it_was_with_its_digest(store, model, tmp_path):
    target = tmp_path / "back" / "model"
    assert store.fetch(store.put(model, "model.skops"), target) == sha256(b"trees").hexdigest()
    assert target.read_text() == "trees"


def test_a_folder_comes_back_as_a_folder(store, tmp_path):
    source = write_files(tmp_path / "made", {"a.txt": "1", "deep/b.txt": "2"})
    uri = store.put(source, "bundle")
    digest = store.fetch(uri, tmp_path / "back")
    assert (tmp_path / "back" / "deep" / "b.txt").read_text() == "2"
    assert store.fetch(uri, tmp_path / "again") == digest


def test_the_same_content_has_the_same_digest_and_other_content_another(store, model, tmp_path):
    first = store.fetch(store.put(model, "one"), tmp_path / "x")
    assert store.fetch(store.put(model, "two"), tmp_path / "y") == first
    model.write_text("other trees")
    assert store.fetch(store.put(model, "one"), tmp_path / "z") != first


def test_what_is_fetched_replaces_what_lay_there(store, model, tmp_path):
    target = write_files(tmp_path / "back", {"old.txt": "old"})
    store.fetch(store.put(model, "model"), target)
    assert target.read_text() == "trees"


def test_nothing_there_is_an_error_and_leaves_nothing(store, model, tmp_path):
    uri = store.put(model, "model.skops")
    with pytest.raises(DataError):
        store.fetch(uri.replace("model.skops", "absent.skops"), tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_source_that_is_not_there_is_an_error(store, tmp_path):
    with pytest.raises(DataError):
        store.put(tmp_path / "absent", "model")
