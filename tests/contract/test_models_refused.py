"""TrainedModels: artifacts and conversions that are refused, and how."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from ml_pipeline.domain.errors import ConfigurationError, DataError
from tests.fakes.packages import linear_onnx
from tests.fakes.trained import NUMBERS, Project, in_artifact, numbers


class _Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def fitted(project: Project) -> LinearRegression:
    return LinearRegression().fit(numbers(project.table), project.table["minutes"])


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.pickle"])
def test_a_pickle_is_not_loaded_without_the_opt_in(project, name):
    canary = project.folder / "canary"
    (project.folder / name).write_bytes(pickle.dumps(_Planted(canary)))
    with pytest.raises(ConfigurationError, match="is a pickle") as caught:
        project.predict(project.folder / name)
    assert "allow_pickle" in caught.value.remedy
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl"])
def test_a_pickle_is_loaded_with_the_opt_in(project, name):
    project.train = {"allow_pickle": True}
    artifact = in_artifact(project.folder / name, fitted(project))
    expected = fitted(project).predict(numbers(project.table))
    assert project.predict(artifact) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["model.skops", "model.onnx", "model.json", "model.txt"])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_pickle_under_another_name_is_never_loaded(project, name, allowed):
    project.train = {"allow_pickle": allowed}
    canary = project.folder / "canary"
    (project.folder / name).write_bytes(pickle.dumps(_Planted(canary)))
    with pytest.raises((ConfigurationError, DataError)):
        project.predict(project.folder / name)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "content", "kind", "named"),
    [
        ("model.h5", b"x", ConfigurationError, "of a format nobody can load: '.h5'"),
        ("model", b"x", ConfigurationError, "of a format nobody can load"),
        ("model.skops", b"x", DataError, "is no skops file"),
        ("model.onnx", b"x", DataError, "does not load"),
        ("model.json", b"{}", ConfigurationError, "needs a library the project does not have"),
    ],
)
def test_what_cannot_be_loaded_is_named(project, name, content, kind, named):
    (project.folder / name).write_bytes(content)
    with pytest.raises(kind, match=named):
        project.predict(project.folder / name)


def test_a_missing_artifact_is_named(project):
    with pytest.raises(DataError, match=r"no trained model at .*gone\.skops"):
        project.predict(project.folder / "gone.skops")


def test_types_that_are_not_trusted_are_listed(project):
    from sklearn.ensemble import GradientBoostingRegressor

    project.train = {"trusted_types": ()}
    model = GradientBoostingRegressor(n_estimators=1)
    model.fit(numbers(project.table), project.table["minutes"])
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(ConfigurationError, match=r"not trusted: .*sklearn\.") as caught:
        project.predict(artifact)
    assert "train.trusted_types" in caught.value.remedy


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"feature_cols": ["distance", "load"]}, "data.features lists distance, load, hour"),
        ({"feature_cols": ["load", "distance", "hour"]}, "has the features load, distance, hour"),
    ],
)
def test_other_features_than_the_settings_list_are_refused(project, more, named):
    artifact = in_artifact(project.folder / "model.skops", fitted(project), **more)
    with pytest.raises(ConfigurationError, match=named):
        project.predict(artifact)


def test_a_model_under_another_key_is_named(project):
    project.train = {"model_key": "regressor"}
    artifact = in_artifact(project.folder / "model.skops", fitted(project))
    with pytest.raises(ConfigurationError, match="holds 'model', 'feature_cols', and no 'regress"):
        project.predict(artifact)


def test_a_model_of_another_width_does_not_predict(project):
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(DataError, match="does not predict: ValueError: X has 3 features"):
        project.predict(artifact)


def test_a_prediction_that_is_no_number_is_refused(project):
    model = fitted(project)
    model.coef_ = np.array([np.nan, 0.0, 0.0])
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(DataError, match="prediction for row 0 is nan"):
        project.predict(artifact)


def test_several_values_a_row_are_refused(project):
    truth = np.array([project.table["minutes"]] * 2).T
    model = LinearRegression().fit(numbers(project.table), truth)
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(DataError, match=r"have the shape \(300, 2\), not one a row"):
        project.predict(artifact)


@pytest.mark.parametrize("classes", [(), ("late", "early")])
def test_a_label_that_is_no_class_is_named(project, classes):
    from sklearn.linear_model import LogisticRegression

    project.classes = classes
    model = LogisticRegression(max_iter=1000)
    model.fit(numbers(project.table)[:, [0]].repeat(3, axis=1), project.table["late"])
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(ConfigurationError, match=r"predicted '(in time|late)', and"):
        project.predict(artifact)


def test_a_packaged_model_that_predicts_something_else_is_refused(project):
    (project.folder / "exported").write_bytes(linear_onnx((1.0, 0.0, 2.0), constant=1.5))
    script = "import sys, shutil; shutil.copy('exported', sys.argv[1])"
    project.package = {"export": ("python", "-c", script, "{output}")}
    model = fitted(project)
    model.coef_, model.intercept_ = np.array([1.0, 0.0, 2.0]), 1.0
    artifact = in_artifact(project.folder / "model.skops", model)
    with pytest.raises(DataError, match="300 of 300 rows differ by more") as caught:
        project.make_package(artifact)
    assert "the worst by 0.0" in str(caught.value)
    assert not (project.folder / "package").exists()


@pytest.mark.parametrize(
    ("script", "named"),
    [("import sys; sys.exit(3)", "ended with 3 and did not write"), ("pass", "did not write")],
)
def test_an_export_that_fails_is_named_with_its_last_words(project, script, named):
    project.package = {"export": ("python", "-c", script, "{output}")}
    artifact = in_artifact(project.folder / "model.skops", fitted(project))
    with pytest.raises(ConfigurationError, match=named):
        project.make_package(artifact)


def test_a_model_without_a_converter_says_what_can_be_set_instead(project):
    from sklearn.gaussian_process.kernels import RBF
    from sklearn.kernel_ridge import KernelRidge

    model = KernelRidge(kernel=RBF()).fit(numbers(project.table), project.table["minutes"])
    project.train = {"allow_pickle": True}
    artifact = in_artifact(project.folder / "model.joblib", model)
    with pytest.raises(ConfigurationError, match="cannot be converted to ONNX") as caught:
        project.make_package(artifact)
    assert "package.format to 'skops'" in caught.value.remedy


def test_an_onnx_artifact_cannot_become_skops(project):
    project.package = {"format": "skops"}
    (project.folder / "model.onnx").write_bytes(linear_onnx((1.0, 0.0, 2.0)))
    with pytest.raises(ConfigurationError, match="cannot be packaged as skops"):
        project.make_package(project.folder / "model.onnx")


def test_classes_of_the_project_are_found_where_the_training_found_them(project):
    """A class of `src/shop_model.py`, stored by `python src/train.py`."""
    source = project.folder / "src"
    source.mkdir()
    (source / "shop_model.py").write_text(
        "class Doubler:\n"
        "    n_features_in_ = 3\n"
        "    def predict(self, rows):\n"
        "        return 2 * rows[:, 0]\n"
    )
    (source / "dump.py").write_text(
        "import joblib, shop_model\n"
        f"joblib.dump({{'model': shop_model.Doubler(), 'feature_cols': {list(NUMBERS)!r}}},"
        " 'model.joblib')\n"
    )
    log = project.folder / "dump.log"
    assert project.runner.run(["python", "src/dump.py"], log=log, time_limit_s=60).exit_code == 0
    project.train = {"allow_pickle": True}
    predicted = project.predict(project.folder / "model.joblib")
    assert predicted == pytest.approx([2 * value for value in project.table["distance"]])


def test_a_crash_of_the_project_shows_its_last_words(project):
    source = project.folder / "src"
    source.mkdir()
    (source / "shop_model.py").write_text("raise SystemExit('no shop today')\n")
    (project.folder / "model.pkl").write_bytes(b"cshop_model\nDoubler\n.")
    project.train = {"allow_pickle": True}
    with pytest.raises(DataError, match="no shop today"):
        project.predict(project.folder / "model.pkl")
