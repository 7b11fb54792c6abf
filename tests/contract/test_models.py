"""TrainedModels and PackagedModels: what the pipeline owes itself of every servable format."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.serving.requests import Output
from ml_pipeline.serving.servable import load_servable
from tests.fakes.packages import likelihood_onnx
from tests.fakes.trained import NUMBERS, Project, in_artifact, numbers, write_table

FORMATS = ("onnx", "skops")


@pytest.fixture(scope="module", params=FORMATS)
def released(request, tmp_path_factory):
    """A regression model of gradient boosting, trained and packaged."""
    project = Project(tmp_path_factory.mktemp("project"), package={"format": request.param})
    model = GradientBoostingRegressor(n_estimators=20, random_state=0)
    model.fit(numbers(project.table), project.table["minutes"])
    artifact = in_artifact(project.folder / "model.skops", model)
    package, info = project.make_package(artifact)
    return project, model, artifact, package, info


def test_a_trained_model_predicts_what_it_predicted_in_training(released):
    project, model, artifact, *_ = released
    expected = model.predict(numbers(project.table))
    assert project.predict(artifact) == pytest.approx(expected, rel=1e-12)


def test_a_package_predicts_what_the_trained_model_does(released):
    project, model, _, package, _ = released
    predicted = project.packaged.predict(package, project.rows)
    assert predicted == pytest.approx(model.predict(numbers(project.table)), rel=1e-4)


def test_a_package_says_what_it_is(released):
    project, _, _, package, info = released
    assert info == project.packaged.describe(package)
    assert info.format == project.package["format"]
    assert info.worst_difference is not None
    assert 0 <= info.worst_difference <= 1e-4
    manifest = project.manifest(package)
    assert [column["name"] for column in manifest["columns"]] == list(NUMBERS)
    assert manifest["task"] == "regression"
    assert manifest["versions"]["sklearn"]


def test_a_package_that_was_tampered_with_predicts_nothing(released, tmp_path):
    project, _, _, package, _ = released
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in package.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    model = next(path for path in copy.iterdir() if path.name != "package.json")
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    for use in (project.packaged.describe, lambda it: project.packaged.predict(it, project.rows)):
        with pytest.raises(DataError, match="not the file that was packaged"):
            use(copy)


def test_rows_without_a_column_are_named(released, tmp_path):
    project, _, artifact, package, _ = released
    lacking = {name: project.table[name] for name in NUMBERS if name != "load"}
    rows = write_table(tmp_path / "lacking.csv", lacking)
    with pytest.raises(DataError, match="'load'"):
        project.packaged.predict(package, rows)
    with pytest.raises(DataError, match="'load'"):
        project.trained.predict(
            artifact, rows, data=project.data_policy, train=project.train_policy, work=tmp_path
        )


def test_other_columns_and_another_order_change_nothing(released, tmp_path):
    project, _, _, package, _ = released
    turned = dict(reversed(project.table.items()))
    rows = write_table(tmp_path / "turned.csv", turned)
    expected = project.packaged.predict(package, project.rows)
    assert project.packaged.predict(package, rows) == expected


def test_a_regression_has_no_probabilities(released):
    project, _, artifact, package, _ = released
    with pytest.raises(DataError, match="probabilities"):
        project.packaged.predict(package, project.rows, probabilities=True)
    with pytest.raises(DataError, match="probabilities"):
        project.predict(artifact, probabilities=True)


def test_nothing_but_logs_is_left_in_the_work_folder(released):
    project, *_ = released
    assert {path.suffix for path in project.work.iterdir()} == {".log"}


@pytest.mark.parametrize("format_", FORMATS)
def test_a_text_label_is_its_position_in_the_projects_own_order(tmp_path, format_):
    """The order of `classes` is the project's, not the alphabet's: both must meet."""
    project = Project(
        tmp_path, target="late", classes=("late", "in time"), package={"format": format_}
    )
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(numbers(project.table), project.table["late"])
    artifact = in_artifact(tmp_path / "model.skops", model)
    package, _ = project.make_package(artifact)
    expected = [float(label == "in time") for label in model.predict(numbers(project.table))]
    assert set(expected) == {0.0, 1.0}
    assert project.predict(artifact) == expected
    assert project.packaged.predict(package, project.rows) == expected
    likely = model.predict_proba(numbers(project.table))[:, list(model.classes_).index("in time")]
    assert project.predict(artifact, probabilities=True) == pytest.approx(likely)
    found = project.packaged.predict(package, project.rows, probabilities=True)
    assert found == pytest.approx(likely, abs=1e-5)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_class_has_its_probability_whatever_the_projects_order(tmp_path, format_):
    project = Project(
        tmp_path, target="shop", classes=("south", "007", "north"), package={"format": format_}
    )
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(numbers(project.table), project.table["shop"])
    artifact = in_artifact(tmp_path / "model.skops", model)
    package, _ = project.make_package(artifact)
    likely = model.predict_proba(numbers(project.table))
    expected = likely[:, [list(model.classes_).index(one) for one in project.classes]]
    for found in (
        project.predict(artifact, probabilities=True),
        project.packaged.predict(package, project.rows, probabilities=True),
    ):
        columns = [found.column(float(place)) for place in range(3)]
        assert pytest.approx(expected, abs=1e-5) == np.array(columns).T


def test_a_classifier_of_words_is_packaged_where_the_host_has_no_locale_but_c(tmp_path):
    project = Project(
        tmp_path, features=("shop", "load"), target="late", classes=("in time", "late"),
        columns={"shop": {"type": "text"}},
    )  # fmt: skip
    import polars as pl

    project.table["shop"] = [
        {"north": "ÖSTLICH-Nord"}.get(one, one) for one in project.table["shop"]
    ]
    write_table(project.rows, project.table)
    table = pl.DataFrame({name: project.table[name] for name in ("shop", "load")})
    model = make_pipeline(
        ColumnTransformer(
            [("words", TfidfVectorizer(), "shop"), ("rest", "passthrough", ["load"])]
        ),
        StandardScaler(with_mean=False),
        LogisticRegression(),
    ).fit(table, project.table["late"])
    artifact = tmp_path / "model.skops"
    skops.io.dump(model, artifact)
    package, info = project.make_package(artifact)
    assert info.format == "onnx"
    likely = model.predict_proba(table)[:, list(model.classes_).index("late")]
    found = project.packaged.predict(package, project.rows, probabilities=True)
    assert found == pytest.approx(likely, abs=1e-4)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_model_that_was_fitted_on_texts_alone_is_given_texts(tmp_path, format_):
    project = Project(
        tmp_path, features=("shop",), target="late", classes=("in time", "late"),
        columns={"shop": {"type": "text"}}, package={"format": format_},
    )  # fmt: skip
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model.fit(project.table["shop"], project.table["late"])
    artifact = tmp_path / "model.skops"
    skops.io.dump(model, artifact)
    package, _ = project.make_package(artifact)
    expected = [float(label == "late") for label in model.predict(project.table["shop"])]
    assert project.predict(artifact) == expected
    assert project.packaged.predict(package, project.rows) == expected


@pytest.mark.parametrize("format_", FORMATS)
def test_what_the_training_fills_is_filled_wherever_the_model_is_asked(tmp_path, format_):
    """A training that fills outside its model: without `fill` the model meets what it never saw."""
    project = Project(
        tmp_path, features=("shop", "load"), target="late", classes=("in time", "late"),
        columns={"shop": {"type": "text", "fill": "nowhere"}, "load": {"fill": -1}},
        package={"format": format_},
    )  # fmt: skip
    import polars as pl

    table = {name: project.table[name] for name in ("shop", "load", "late")}
    holes = {**table, "shop": ["", *table["shop"][1:]], "load": [None, *table["load"][1:]]}
    write_table(project.rows, holes)
    filled = {**table, "shop": ["nowhere", *table["shop"][1:]], "load": [-1.0, *table["load"][1:]]}
    rows = pl.DataFrame({name: filled[name] for name in ("shop", "load")})
    model = make_pipeline(
        ColumnTransformer([("words", TfidfVectorizer(), "shop")], remainder="passthrough"),
        StandardScaler(with_mean=False),
        LogisticRegression(),
    ).fit(rows, filled["late"])
    artifact = tmp_path / "model.skops"
    skops.io.dump(model, artifact)
    package, _ = project.make_package(artifact)
    expected = [float(label == "late") for label in model.predict(rows)]
    assert project.predict(artifact) == expected
    assert project.packaged.predict(package, project.rows) == expected


def test_a_text_that_is_missing_is_imputed_inside_the_model_as_in_training(tmp_path):
    project = Project(
        tmp_path, features=("shop", "load"), target="late", classes=("in time", "late"),
        columns={"shop": {"type": "text"}}, package={"format": "skops"},
    )  # fmt: skip
    holes = {**project.table, "shop": ["", "", *project.table["shop"][2:]]}
    write_table(project.rows, holes)
    rows = pd.read_csv(project.rows, dtype={"shop": str})[["shop", "load"]]
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    model = make_pipeline(
        ColumnTransformer([("shop", words, ["shop"])], remainder=StandardScaler()),
        LogisticRegression(),
    ).fit(rows, project.table["late"])
    artifact = tmp_path / "model.skops"
    skops.io.dump(model, artifact)
    package, _ = project.make_package(artifact)
    likely = model.predict_proba(rows)[:, list(model.classes_).index("late")]
    found = project.packaged.predict(package, project.rows, probabilities=True)
    assert found == pytest.approx(likely)


def test_a_model_that_meets_an_empty_cell_says_how_to_fill_it(tmp_path):
    project = Project(tmp_path, features=("distance", "load"))
    model = LinearRegression().fit(
        np.array([project.table["distance"], project.table["load"]]).T, project.table["minutes"]
    )
    artifact = tmp_path / "model.skops"
    skops.io.dump(model, artifact)
    write_table(project.rows, {**project.table, "load": [None, *project.table["load"][1:]]})
    with pytest.raises(DataError) as raised:
        project.predict(artifact)
    assert "data.columns.load.fill" in raised.value.remedy


def test_an_onnx_file_that_gives_only_probabilities_classifies_when_the_metric_says_so(tmp_path):
    project = Project(tmp_path, features=("a", "b"), target="c", classifies=True)
    write_table(project.rows, {"a": [-2.0, 0.5], "b": [0.0, 0.0], "c": [0, 1]})
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(likelihood_onnx([None, 1]))
    package, _ = project.make_package(artifact)
    assert project.manifest(package)["task"] == "classification"
    assert project.packaged.predict(package, project.rows) == [0, 1]
    assert project.predict(artifact, probabilities=True) == pytest.approx(
        [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-0.5))]
    )


@pytest.mark.parametrize("format_", FORMATS)
def test_numeric_labels_are_their_own_positions(tmp_path, format_):
    project = Project(tmp_path, package={"format": format_})
    truth = [int(label == "late") for label in project.table["late"]]
    model = HistGradientBoostingClassifier(max_iter=5).fit(numbers(project.table), truth)
    artifact = in_artifact(tmp_path / "model.skops", model)
    package, _ = project.make_package(artifact)
    expected = model.predict(numbers(project.table)).tolist()
    assert project.predict(artifact) == expected
    assert project.packaged.predict(package, project.rows) == expected
    likely = model.predict_proba(numbers(project.table))[:, 1]
    found = project.packaged.predict(package, project.rows, probabilities=True)
    assert found == pytest.approx(likely, abs=1e-5)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_model_that_counts_classes_is_served_with_their_names(tmp_path, format_):
    """Native boosters know no labels of text, so the training handed them positions."""
    names = ("south", "007", "north")
    project = Project(tmp_path, target="shop", classes=names, package={"format": format_})
    counted = [names.index(name) for name in project.table["shop"]]
    model = LogisticRegression(max_iter=5000).fit(numbers(project.table) / 1e3, counted)
    package, _ = project.make_package(in_artifact(tmp_path / "model.skops", model))
    servable = load_servable(package)
    batch = servable.schema.batch([[1.0, 2.0, 3.0]])
    (position,) = servable.predict(batch, Output.POSITION)
    assert servable.predict(batch) == [names[int(position)]]
    assert servable.likelihoods(batch).labels == list(names)


@pytest.mark.parametrize("format_", FORMATS)
def test_text_columns_and_names_of_a_fitted_table_are_kept(tmp_path, format_):
    """The shop "007" is a text: read as a number it would be an unknown shop."""
    import pandas as pd

    project = Project(
        tmp_path, features=(*NUMBERS, "shop"), columns={"shop": {"type": "text"}},
        package={"format": format_},
    )  # fmt: skip
    rows = pd.DataFrame({name: project.table[name] for name in project.features})
    encoder = ColumnTransformer(
        [("shop", OneHotEncoder(handle_unknown="ignore"), ["shop"])], remainder="passthrough"
    )
    model = make_pipeline(encoder, LinearRegression()).fit(rows, project.table["minutes"])
    artifact = in_artifact(tmp_path / "model.skops", model, feature_cols=list(project.features))
    package, _ = project.make_package(artifact)
    expected = model.predict(rows)
    assert np.ptp(expected) > 1
    assert project.predict(artifact) == pytest.approx(expected)
    assert project.packaged.predict(package, project.rows) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("imputed", [True, False])
def test_a_missing_text_means_to_the_package_what_it_meant_in_training(tmp_path, format_, imputed):
    """Filled by an imputer, or a category of its own; served, a cell is empty."""
    project = Project(
        tmp_path, features=("shop", "load"), package={"format": format_},
        columns={"shop": {"type": "text", "max_missing_share": 0.9}},
    )  # fmt: skip
    project.table["shop"] = [None if name == "north" else name for name in project.table["shop"]]
    project.rows = write_table(project.rows, project.table)
    rows = pd.DataFrame({name: project.table[name] for name in project.features})
    rows["shop"] = rows["shop"].astype(object).where(rows["shop"].notna(), np.nan)
    fill = [SimpleImputer(strategy="constant", fill_value="none")] if imputed else []
    known = make_pipeline(*fill, OneHotEncoder(handle_unknown="ignore"))
    encoder = ColumnTransformer([("shop", known, ["shop"])], remainder="drop")
    model = make_pipeline(encoder, LinearRegression()).fit(rows, project.table["minutes"])
    artifact = in_artifact(tmp_path / "model.joblib", model, feature_cols=["shop", "load"])
    project.train["allow_pickle"] = True
    package, _ = project.make_package(artifact)
    expected = model.predict(rows)
    assert np.ptp(expected) > 1
    assert project.packaged.predict(package, project.rows) == pytest.approx(expected, rel=1e-4)


def test_a_table_of_texts_and_numbers_with_gaps_is_served_as_trained(tmp_path):
    """Scaled numbers meet the thresholds of trees: float32 would put some on the other side."""
    project = Project(
        tmp_path, features=(*NUMBERS, "shop"), train={"allow_pickle": True},
        columns={"shop": {"type": "text"}}, package={"parity_tolerance": 1e-9},
    )  # fmt: skip
    project.table["load"] = [value if value > -1e4 else None for value in project.table["load"]]
    project.table["shop"] = [None if name == "north" else name for name in project.table["shop"]]
    project.rows = write_table(project.rows, project.table)
    rows = pd.DataFrame({name: project.table[name] for name in project.features})
    rows["shop"] = rows["shop"].astype(object).where(rows["shop"].notna(), np.nan)
    texts = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"),
        OneHotEncoder(handle_unknown="ignore"),
    )
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    table = ColumnTransformer([("n", numeric, list(NUMBERS)), ("t", texts, ["shop"])])
    model = make_pipeline(table, LinearRegression()).fit(rows, project.table["minutes"])
    names = list(project.features)
    artifact = in_artifact(tmp_path / "model.joblib", model, feature_cols=names)
    package, _ = project.make_package(artifact)
    expected = model.predict(rows)
    assert project.packaged.predict(package, project.rows) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("first", [(), (StandardScaler(),)])
def test_a_target_in_logarithms_is_served_in_its_own_unit(tmp_path, first):
    project = Project(tmp_path, train={"allow_pickle": True})
    trees = GradientBoostingRegressor(n_estimators=20, random_state=0)
    of_logarithm = TransformedTargetRegressor(trees, func=np.log1p, inverse_func=np.expm1)
    model = make_pipeline(*first, of_logarithm) if first else of_logarithm
    model.fit(numbers(project.table), project.table["minutes"])
    package, _ = project.make_package(in_artifact(tmp_path / "model.joblib", model))
    expected = model.predict(numbers(project.table))
    assert project.packaged.predict(package, project.rows) == pytest.approx(expected, rel=1e-5)


def test_a_target_turned_back_by_a_function_of_the_projects_own_is_named(tmp_path):
    project = Project(tmp_path, train={"allow_pickle": True})
    model = TransformedTargetRegressor(LinearRegression(), func=np.cbrt, inverse_func=np.positive)
    model.check_inverse = False
    model.fit(numbers(project.table), project.table["minutes"])
    artifact = in_artifact(tmp_path / "model.joblib", model)
    with pytest.raises(ConfigurationError, match=r"turned back by positive, and known are numpy\."):
        project.make_package(artifact)


@pytest.mark.parametrize("format_", FORMATS)
def test_missing_numbers_reach_a_model_that_can_use_them(tmp_path, format_):
    project = Project(tmp_path, package={"format": format_})
    project.table["load"] = [value if value > 0 else None for value in project.table["load"]]
    project.rows = write_table(tmp_path / "rows.csv", project.table)
    rows = numbers(project.table)
    assert np.isnan(rows).any()
    model = HistGradientBoostingRegressor(max_iter=10).fit(rows, project.table["minutes"])
    artifact = in_artifact(tmp_path / "model.skops", model)
    package, _ = project.make_package(artifact)
    assert project.predict(artifact) == pytest.approx(model.predict(rows))
    found = project.packaged.predict(package, project.rows)
    assert found == pytest.approx(model.predict(rows), rel=1e-4)


def test_an_artifact_that_is_onnx_already_is_packaged_as_it_is(tmp_path):
    from tests.fakes.packages import linear_onnx

    project = Project(tmp_path)
    artifact = tmp_path / "model.onnx"
    artifact.write_bytes(linear_onnx((1.0, 0.0, 2.0)))
    expected = numbers(project.table) @ np.array([1.0, 0.0, 2.0]) + 1
    assert project.predict(artifact) == pytest.approx(expected)
    package, info = project.make_package(artifact)
    assert (package / "model.onnx").read_bytes() == artifact.read_bytes()
    assert info.worst_difference == 0
    assert project.packaged.predict(package, project.rows) == pytest.approx(expected)
    assert project.runner.asked == [], "ONNX needs nothing of the project's environment"


def test_the_projects_own_export_is_used_where_it_has_one(tmp_path):
    from tests.fakes.packages import linear_onnx

    (tmp_path / "exported").write_bytes(linear_onnx((1.0, 0.0, 2.0)))
    script = "import sys, shutil; shutil.copy('exported', sys.argv[1])"
    project = Project(tmp_path, package={"export": ("python", "-c", script, "{output}")})
    model = LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = np.array([1.0, 0.0, 2.0]), 1.0, 3
    artifact = in_artifact(tmp_path / "model.skops", model)
    package, info = project.make_package(artifact)
    assert (package / "model.onnx").read_bytes() == linear_onnx((1.0, 0.0, 2.0))
    assert info.worst_difference == pytest.approx(0, abs=1e-12)
    assert json.loads((package / "package.json").read_text())["task"] == "regression"
