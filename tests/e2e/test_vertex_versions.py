"""Versions in an emulated Vertex AI registry: one a run, whatever answers are lost."""

import pytest
from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.registry import CHAMPION
from tests.emulators.vertex_cases import VertexRegistryCase, parts_of
from tests.fakes.platforms import fill

pytestmark = pytest.mark.e2e


@pytest.fixture
def case(tmp_path):
    made = VertexRegistryCase(tmp_path)
    yield made
    made.clean()


@pytest.fixture
def register(case, tmp_path):
    bundle = tmp_path / "bundle"
    fill(bundle / "package", {})

    def registered(run_id: str = "run-1"):
        return case.registry().register("eta", bundle, run_id=run_id, metrics={}, tags={})

    return registered


def made(case) -> dict[str, str]:
    """Every version the platform has, and what run says it made it."""
    (versions,) = case.emulator.models.models.values()
    return {number: one.version_description[:20] for number, one in versions.items()}


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_version_whose_answer_is_lost_is_one_version(case, register, earlier):
    for _ in range(earlier):
        register("run-0")
    case.emulator.faults.add("UploadModel", unheard=True)
    version = register()
    assert list(made(case)) == [str(one + 1) for one in range(earlier + 1)]
    assert version.version == str(earlier + 1)
    assert version.run_id == "run-1"


def test_an_upload_that_goes_on_unheard_is_waited_for(case, register):
    register("run-0")
    case.emulator.latency_s = 1.5
    case.emulator.faults.add("UploadModel", unheard=True)
    assert register().version == "2"
    assert case.emulator.faults.calls.count("UploadModel") == 2
    assert list(made(case)) == ["1", "2"]


def test_an_upload_that_a_killed_run_began_is_waited_for(case, register, monkeypatch):
    register("run-0")
    case.emulator.latency_s = 1.0

    def killed(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Clients, "finished", killed)
        with pytest.raises(KeyboardInterrupt):
            register()
    assert list(made(case)) == ["1"], "the upload goes on"
    assert register().version == "2"
    assert case.emulator.faults.calls.count("UploadModel") == 2
    assert list(made(case)) == ["1", "2"]


def test_of_two_versions_a_lost_answer_made_the_older_is_kept(case, register):
    """The list was late, so the second was made before the first was seen."""
    register("run-0")
    models = case.emulator.models
    listed = models.ListModelVersions

    def late(request):
        found = list(listed(request).models)
        return types.ListModelVersionsResponse(models=found[: 1 if len(found) < 3 else 3])

    models.ListModelVersions = late
    case.emulator.faults.add("UploadModel", unheard=True)
    assert register().version == "2"
    assert list(made(case)) == ["1", "2"]


def test_registering_again_finds_the_version_there_is(case, register):
    first = register()
    assert register() == first
    assert list(made(case)) == ["1"]


def test_an_alias_that_was_taken_and_not_moved_is_said(case, register):
    version = register()
    case.emulator.models.MergeVersionAliases = lambda request: case.emulator.models.version(
        request.name
    )
    other = register("run-2")
    registry = parts_of(case.emulator, case.folder).registry
    case.emulator.models.version(f"{other.uri}").version_aliases.append(CHAMPION)
    with pytest.raises(PlatformUnavailableError, match="at version 2 after it was set to 1"):
        registry.set_alias("eta", CHAMPION, version.version)
