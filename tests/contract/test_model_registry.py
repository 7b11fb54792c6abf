"""Every model registry: who is champion, and never a guess."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.registry import MlflowRegistry
from ml_pipeline.domain.errors import DataError, PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports.registry import CHALLENGER, CHAMPION, STAGING
from tests.emulators.azureml_cases import AzuremlRegistryCase
from tests.emulators.sagemaker_driver import SageMakerRegistryCase
from tests.emulators.vertex_cases import VertexRegistryCase
from tests.fakes.clock import FakeClock
from tests.fakes.mlflow_databases import damage, fresh, template
from tests.fakes.projects import write_files
from tests.fakes.registry import FakeRegistry


#: Importing MLflow and making its tables takes seconds: one worker does it, once.
class MlflowCase:
    """An MLflow registry on SQLite, as every new process opens it."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.state = folder / "state"
        fresh(template, self.state)

    def registry(self):
        return MlflowRegistry(self.state, FakeClock())

    def break_it(self) -> None:
        damage(self.state)

    def bundle_of(self, version) -> Path:
        return Path(version.uri.removeprefix("file://"))


class FakeCase:
    def __init__(self, folder: Path, _template: Path) -> None:
        self.one = FakeRegistry(folder / "state", FakeClock())

    def registry(self):
        return self.one

    def break_it(self) -> None:
        self.one.outage = "503"

    def bundle_of(self, version) -> Path:
        return self.one.folder / version.model / version.version


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory):
    return template(tmp_path_factory.getbasetemp() / "mlflow-template")


@pytest.fixture(
    params=[MlflowCase, FakeCase, AzuremlRegistryCase, SageMakerRegistryCase, VertexRegistryCase],
    ids=["mlflow", "fake", "azureml", "sagemaker", "vertex"],
)
def case(request, tmp_path, mlflow_template):
    made = request.param(tmp_path, mlflow_template)
    yield made
    getattr(made, "clean", lambda: None)()


@pytest.fixture
def bundle(tmp_path):
    def made(text="trees"):
        return write_files(tmp_path / f"bundle-{text}", {"model.onnx": text, "deep/rows.csv": "1"})

    return made


@pytest.fixture
def registered(case, bundle):
    def register(text="trees", run_id="run-1", metrics=None, **tags):
        return case.registry().register(
            "eta", bundle(text), run_id=run_id, metrics=metrics or {"mae": 4.5}, tags=tags
        )

    return register


def _champion(case):
    return case.registry().champion("eta")


def test_without_a_champion_there_is_none(case, registered):
    assert _champion(case) is None
    registered()
    assert _champion(case) is None


def test_an_outage_is_not_the_absence_of_a_champion(case, registered):
    version = registered()
    case.registry().set_alias("eta", CHAMPION, version.version)
    case.break_it()
    with pytest.raises(PlatformUnavailableError):
        _champion(case)
    with pytest.raises(PlatformUnavailableError):
        case.registry().versions("eta")


def test_a_version_keeps_what_it_was_registered_with(registered):
    version = registered(metrics={"mae": 0.1, "rows": 1e6}, commit="abc", verdict="")
    assert (version.model, version.version, version.run_id) == ("eta", "1", "run-1")
    assert version.metrics == {"mae": 0.1, "rows": 1e6}
    assert version.tags == {"commit": "abc", "verdict": ""}
    assert version.created_at.utcoffset() == timedelta(0)
    assert version.aliases == frozenset()


def test_the_same_run_registers_a_bundle_once(case, registered):
    first = registered()
    assert registered() == first
    assert registered(run_id="run-2").version == "2"
    assert registered("other trees").version == "3"
    assert [one.version for one in case.registry().versions("eta")] == ["3", "2", "1"]


def test_an_alias_is_at_one_version_only(case, registered):
    first, second = registered(), registered("other")
    for version in (first, second):
        case.registry().set_alias("eta", CHAMPION, version.version)
    assert _champion(case).version == second.version
    newest, older = case.registry().versions("eta")
    assert (newest.aliases, older.aliases) == (frozenset({CHAMPION}), frozenset())


def test_aliases_do_not_disturb_each_other(case, registered):
    version = registered()
    for alias in (CHAMPION, CHALLENGER, STAGING):
        case.registry().set_alias("eta", alias, version.version)
    case.registry().clear_alias("eta", STAGING)
    assert _champion(case).aliases == {CHAMPION, CHALLENGER}
    case.registry().clear_alias("eta", CHAMPION)
    assert _champion(case) is None


def test_clearing_an_alias_that_is_not_set_changes_nothing(case, registered):
    case.registry().clear_alias("eta", STAGING)
    registered()
    case.registry().clear_alias("eta", STAGING)


def test_an_alias_for_a_version_that_is_not_there_is_refused(case, registered):
    version = registered()
    case.registry().set_alias("eta", CHAMPION, version.version)
    with pytest.raises(PlatformRefusedError):
        case.registry().set_alias("eta", CHAMPION, "9")
    assert _champion(case).version == version.version


def test_tags_are_added_and_replaced_and_others_stay(case, registered):
    version = registered(a="1", b="2")
    case.registry().tag("eta", version.version, {"b": "3", "c": "4"})
    (found,) = case.registry().versions("eta")
    assert found.tags == {"a": "1", "b": "3", "c": "4"}


def test_metrics_stored_at_promotion_come_back_to_the_last_digit(case, registered):
    version = registered()
    case.registry().set_alias("eta", CHAMPION, version.version)
    case.registry().store_metrics("eta", version.version, {"mae": 0.1 + 0.2})
    assert _champion(case).metrics == {"mae": 0.1 + 0.2}


def test_a_bundle_comes_back_as_it_was(case, registered, tmp_path):
    version = registered()
    target = case.registry().fetch(version, tmp_path / "back")
    assert (target / "model.onnx").read_text() == "trees"
    assert (target / "deep" / "rows.csv").exists()


def test_a_bundle_that_was_changed_is_not_handed_out(case, registered, tmp_path):
    version = registered()
    (case.bundle_of(version) / "model.onnx").write_text("weeds")
    with pytest.raises(DataError):
        case.registry().fetch(version, tmp_path / "back")
    with pytest.raises(DataError):
        case.registry().fetch(replace(version, digest="0" * 64), tmp_path / "back")


def test_archived_versions_are_not_listed(case, registered):
    first, second = registered(), registered("other")
    case.registry().set_alias("eta", CHALLENGER, first.version)
    case.registry().archive("eta", first.version)
    assert [one.version for one in case.registry().versions("eta")] == [second.version]


def test_the_champion_is_never_archived(case, registered):
    version = registered()
    case.registry().set_alias("eta", CHAMPION, version.version)
    with pytest.raises(PlatformRefusedError, match="champion"):
        case.registry().archive("eta", version.version)
    assert _champion(case).version == version.version
