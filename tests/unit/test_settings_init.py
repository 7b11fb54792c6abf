"""`ml-pipeline init` on projects of other people's habits."""

import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings import initproject, load
from ml_pipeline.settings.page import literal
from ml_pipeline.settings.survey.tables import naive_error

SCRIPT = """
import click, joblib, json, pandas as pd
from sklearn.linear_model import LogisticRegression

INPUTS: list[str] = ["age", "plan_cost", "calls"]
feature_names = INPUTS


@click.command()
@click.option("--csv", "csv_path", required=True)
@click.option("--model-out", default="churn.pkl")
@click.option("--metrics-file", default="quality.json")
@click.option("--max_iter", default=200, type=int)
def main(csv_path, model_out, metrics_file, max_iter):
    frame = pd.read_csv(csv_path)
    y = frame["churned"]
    model = LogisticRegression(max_iter=max_iter).fit(frame[INPUTS], y)
    joblib.dump(model, model_out)
    json.dump({"accuracy": 1.0}, open(metrics_file, "w"))


if __name__ == "__main__":
    main()
"""


def files(root: Path, **contents: str) -> None:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "Churn Model"
    rows = [
        f"{i},2024-01-{1 + i % 28:02d},{20 + i % 9},{i % 7}.5,{i % 5},{i % 2}" for i in range(600)
    ]
    rows[3] = "3,2024-01-04,23,,3,1"
    files(
        root,
        **{
            "jobs/fit_churn.py": SCRIPT,
            "jobs/broken.py": "def (",
            "test/test_fit.py": "def test_x(): assert True\n",
            "requirements.txt": "pandas\nscikit-learn\nclick\npytest\nFlake8>=6\nblack\n",
            ".flake8": "[flake8]\nmax-line-length = 100\n",
            "mypy.ini": "[mypy]\nstrict = true\n",
            "data/customers.csv": "\n".join(
                ["customer_id,signed_up,age,plan_cost,calls,churned", *rows]
            ),
            "data/notes.csv": "a,b\n1,2\n",
            ".venv/lib/train.py": "model.fit(1)\n",
        },
    )
    return root


def proposed(root: Path) -> dict:
    return tomllib.loads(initproject.propose(root).text)


def test_a_foreign_project_is_read_off_its_own_files(project) -> None:
    config = proposed(project)
    assert config["model"] == "churn-model"
    assert config["data"]["path"] == "data/customers.csv"
    assert config["data"]["target"] == "churned"
    assert config["data"]["features"] == ["age", "plan_cost", "calls"]
    assert config["data"]["time_column"] == "signed_up"
    assert config["data"]["key_columns"] == ["customer_id"]
    assert config["data"]["columns"]["plan_cost"] == {"type": "number", "max_missing_share": 0.01}
    assert config["checks"] == {
        "lint": [["flake8", "--extend-exclude=.ml-pipeline,runs", "."]],
        "unit_test": ["python", "-m", "pytest", "test", "--junitxml={junit}"],
    }
    assert config["train"] == {
        "command": [
            "python", "jobs/fit_churn.py", "--csv", "{data}",
            "--model-out", "{output}/churn.pkl", "--metrics-file", "{output}/quality.json",
        ],
        "hyperparameter_style": "underscored",
        "artifact": "churn.pkl",
        "metrics": "quality.json",
    }  # fmt: skip
    assert config["metric"] == {
        "name": "accuracy", "reported_as": "accuracy", "min": 0, "max": 1,
        "prediction_min": 0, "prediction_max": 1,
    }  # fmt: skip


def test_what_only_the_user_can_know_is_left_to_fill_in(project) -> None:
    text = initproject.propose(project).text
    assert "# limit = 0.5\n" in text
    assert "Always giving the same\n# answer scores 0.5" in text
    assert "# allow_pickle = true" in text
    assert "# max_iter = 200" in text


def test_a_linter_that_is_not_both_configured_and_installed_stands_ready_as_a_comment(
    project,
) -> None:
    text = initproject.propose(project).text
    unconfigured = "  # check: black is a dependency, but nothing configures it\n"
    uninstalled = "  # check: mypy.ini names mypy, but it is no dependency of the project\n"
    assert unconfigured + '  # ["black", "--check", ' in text
    assert uninstalled + '  # ["mypy", "--exclude=^runs/", "."],\n]\n' in text
    taken_in = text.replace('  # ["mypy"', '  ["mypy"')
    assert len(tomllib.loads(taken_in)["checks"]["lint"]) == 2


def test_labels_are_listed_and_the_positive_one_is_pointed_out(project) -> None:
    table = project / "data/customers.csv"
    text = table.read_text(encoding="utf-8")
    rows = [line.rsplit(",", 1) for line in text.splitlines()]
    changed = [f"{left},{ {'0': 'yes', '1': 'no'}.get(last, last) }" for left, last in rows]
    table.write_text("\n".join(changed), encoding="utf-8")
    assert proposed(project)["data"]["classes"] == ["no", "yes"]
    text = initproject.propose(project).text
    assert "# check: in this order 'yes', the last, is the positive one" in text
    assert proposed(project)["metric"]["prediction_max"] == 1


def test_more_labels_than_classes_have_are_left_to_the_user(tmp_path) -> None:
    rows = "\n".join(f"{i},name {i}" for i in range(300))
    files(tmp_path, **{"rows.csv": "a,b\n" + rows})
    assert '# classes = ["a", "b"]' in initproject.propose(tmp_path).text


def test_text_is_a_feature_where_there_are_no_numbers(tmp_path) -> None:
    rows = "\n".join(f"word {i},{'ham' if i % 2 else 'spam'}" for i in range(300))
    files(tmp_path, **{"rows.csv": "mail,label\n" + rows})
    data = proposed(tmp_path)["data"]
    assert (data["features"], data["classes"]) == (["mail"], ["ham", "spam"])


def test_columns_a_script_selects_or_does_not_drop_are_the_features(tmp_path) -> None:
    rows = "\n".join(f"{i},{i % 3},x,{i}.5" for i in range(30))
    script = "y = df['y']\nX = df.drop(columns=['y', 'a'])\nmodel.fit(X, y)\n"
    files(tmp_path, **{"rows.csv": "a,b,c,y\n" + rows, "train.py": script})
    assert proposed(tmp_path)["data"]["features"] == ["b", "c"]
    script = "NUMBERS = ['b']\nmodel.fit(df[NUMBERS + ['a']], df['y'].to_numpy())\n"
    files(tmp_path, **{"train.py": script})
    data = proposed(tmp_path)["data"]
    assert (data["target"], data["features"]) == ("y", ["b", "a"])


def test_a_regressor_of_whole_numbers_predicts_a_quantity(tmp_path) -> None:
    rows = "\n".join(f"{i % 7},{i}" for i in range(300))
    script = "model = RandomForestRegressor().fit(df[['a']], df.rating)\n"
    files(tmp_path, **{"rows.csv": "rating,a\n" + rows, "train.py": script})
    config = proposed(tmp_path)
    assert (config["data"]["target"], config["metric"]["name"]) == ("rating", "mae")
    files(tmp_path, **{"train.py": script.replace("Regressor", "Classifier")})
    assert proposed(tmp_path)["metric"]["name"] == "accuracy"


def test_dependencies_for_poetry_count_too(tmp_path) -> None:
    text = '[tool.poetry.group.dev.dependencies]\nblack = "*"\n[tool.black]\n'
    files(tmp_path, **{"pyproject.toml": text})
    assert proposed(tmp_path)["checks"]["lint"][0][0] == "black"


@pytest.mark.parametrize(
    ("sign", "name"), [(";", "rides.csv"), ("\t", "rides.tsv"), ("|", "r.csv")]
)
def test_cells_parted_by_another_sign_are_recognised(project, sign, name) -> None:
    table = max(project.rglob("*.csv"), key=lambda file: file.stat().st_size)
    text = table.read_text(encoding="utf-8").replace(",", sign)
    table.unlink()
    (project / name).write_text(text, encoding="utf-8")
    told = proposed(project)["data"]
    assert (told["path"], told["separator"]) == (name, sign)
    assert "churned" in told["target"]


def test_a_training_that_reads_parquet_is_handed_parquet(project) -> None:
    assert "format" not in proposed(project)["data"]
    files(project, **{"jobs/fit_churn.py": SCRIPT.replace("read_csv", "read_parquet")})
    assert proposed(project)["data"]["format"] == "parquet"


def test_a_package_python_would_not_find_gets_its_path(tmp_path) -> None:
    files(tmp_path, **{
        "src/pkg/__init__.py": "", "src/pkg/data.py": "",
        "src/pkg/train.py": "from . import data\nmodel.fit(1)\n",
    })  # fmt: skip
    config = proposed(tmp_path)
    assert config["train"]["command"][:3] == ["python", "-m", "pkg.train"]
    assert config["environment"]["variables"] == {"PYTHONPATH": "src"}


def test_only_the_limit_is_left_and_then_it_loads(project) -> None:
    lines = initproject.write(project)
    file = project / "ml-pipeline.toml"
    assert lines[0] == f"wrote {file}"
    (left,) = [line for line in lines if line.startswith("fill in: ")]
    assert left.startswith(f"fill in: {file}: gate.limit: is missing")
    text = file.read_text(encoding="utf-8").replace("# limit = 0.5", "limit = 0.8")
    file.write_text(text, encoding="utf-8")
    assert load(project, environ={}).gate.limit == 0.8


def test_nothing_but_the_configuration_is_added(project) -> None:
    before = set(project.rglob("*"))
    initproject.write(project)
    assert set(project.rglob("*")) - before == {project / "ml-pipeline.toml"}


def test_a_project_with_nothing_to_see_gets_a_page_to_fill_in(tmp_path) -> None:
    lines = initproject.write(tmp_path)
    keys = [line.split(": ")[2] for line in lines if line.startswith("fill in: ")]
    assert keys == [
        "data.target", "data.features", "train.command", "metric.min", "metric.max",
        "metric.prediction_min", "metric.prediction_max", "gate.limit",
    ]  # fmt: skip


def test_a_filled_in_page_loads(tmp_path) -> None:
    initproject.write(tmp_path)
    files(tmp_path, **{"data.csv": "a,b,y\n1,2,3\n"})
    file = tmp_path / "ml-pipeline.toml"
    text = file.read_text(encoding="utf-8").splitlines()
    keys = ("path", "target", "features", "command", "min", "max", "prediction_min",
            "prediction_max", "limit")  # fmt: skip
    wanted = tuple(f"# {key} = " for key in keys)
    filled = [line.removeprefix("# ") if line.startswith(wanted) else line for line in text]
    file.write_text("\n".join(filled), encoding="utf-8")
    assert load(tmp_path, environ={}).data.features == ("a", "b")


@pytest.mark.parametrize("name", ["ml-pipeline.toml", "pyproject.toml"])
def test_an_existing_configuration_is_never_overwritten(project, name) -> None:
    files(project, **{name: '[tool.ml-pipeline]\nmodel = "mine"\n'})
    with pytest.raises(ConfigurationError) as refused:
        initproject.write(project)
    assert str(refused.value) == (
        f"{project / name} configures this project already; it is left as it is"
    )
    assert "mine" in (project / name).read_text(encoding="utf-8")


def test_a_broken_pyproject_is_named_before_anything_is_written(project) -> None:
    files(project, **{"pyproject.toml": "[tool\n"})
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml: is no valid TOML"):
        initproject.write(project)
    assert not (project / "ml-pipeline.toml").exists()


def test_a_quantity_gets_bounds_from_its_measured_range(project) -> None:
    rows = "\n".join(f"{i},{10 + i % 5},{i % 3}" for i in range(40))
    files(project, **{"data/customers.csv": "km,minutes,hour\n" + rows.replace(",10,", ",10.5,")})
    script = SCRIPT.replace('"churned"', '"minutes"').replace('"accuracy"', '"val_rmse"')
    features = '["km", "hour"]'
    script = script.replace('["age", "plan_cost", "calls"]', features)
    files(project, **{"jobs/fit_churn.py": script})
    metric = proposed(project)["metric"]
    assert metric == {
        "name": "rmse", "reported_as": "val_rmse", "min": 0, "max": 3.5,
        "prediction_min": 8.75, "prediction_max": 15.75,
    }  # fmt: skip


def test_without_hints_the_last_column_is_a_guess_to_check(tmp_path) -> None:
    files(tmp_path, **{"rows.csv": "name,a,b,y\nx,1,2.5,3.5\nz,2,3.5,9.5\n"})
    text = initproject.propose(tmp_path).text
    data = tomllib.loads(text)["data"]
    assert (data["target"], data["features"]) == ("y", ["a", "b"])
    assert "# check: no script names its target, so this is the last column\n" in text


def test_a_feature_the_table_lacks_is_pointed_out(project) -> None:
    changed = SCRIPT.replace('"calls"]', '"calls", "tenure"]')
    files(project, **{"jobs/fit_churn.py": changed})
    assert "# check: tenure: no column of the table" in initproject.propose(project).text


def test_a_script_that_takes_no_data_is_pointed_out(tmp_path) -> None:
    files(tmp_path, **{"train.py": "model.fit(x)\njoblib.dump(model, 'm.joblib')\n"})
    text = initproject.propose(tmp_path).text
    assert tomllib.loads(text)["train"]["command"] == ["python", "train.py"]
    assert "# check: the script shows no option for {data} and {output}: give it one" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("latin.csv", b"caf\xe9,b\n\xe9,2\n"),
        ("broken.parquet", b"PAR1 no"),
        ("header.csv", b"a,b\n"),
    ],
)
def test_a_table_that_cannot_be_used_stops_nothing(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    tomllib.loads(initproject.propose(tmp_path).text)


def test_the_example_is_recognised_without_its_configuration(tmp_path) -> None:
    example = Path(__file__).parents[2] / "examples" / "freshmart"
    for path in [*(example / "src").rglob("*.py"), *(example / "tests").rglob("*.py")]:
        files(tmp_path, **{str(path.relative_to(example)): path.read_text(encoding="utf-8")})
    own, _, _ = (example / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.ml-pi")
    files(tmp_path, **{"pyproject.toml": own})
    (configured,) = [
        table["tool"]["ml-pipeline"]
        for table in [tomllib.loads((example / "pyproject.toml").read_text(encoding="utf-8"))]
    ]
    guessed = proposed(tmp_path)
    assert guessed["model"] == configured["model"]
    assert guessed["train"]["command"] == configured["train"]["command"]
    assert guessed["train"]["artifact"] == configured["train"]["artifact"]
    assert guessed["data"]["features"] == configured["data"]["features"]
    assert guessed["data"]["target"] == configured["data"]["target"]
    assert guessed["data"]["prepare"] == configured["data"]["prepare"]
    assert guessed["staging"]["integration_test"] == configured["staging"]["integration_test"]


_texts = st.text(st.characters(exclude_categories=["Cs"]))
_values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | _texts | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(_texts, inner),
    max_leaves=8,
)


@given(value=_values)
def test_every_value_is_written_as_toml_that_reads_the_same(value) -> None:
    assert tomllib.loads(f"value = {literal(value)}") == {"value": value}


SIZES = """
import argparse, json, pandas as pd, xgboost
parser = argparse.ArgumentParser()
parser.add_argument("--data")
parser.add_argument("--model-out")
parser.add_argument("--metrics-out")
args = parser.parse_args()
frame = pd.read_csv(args.data)
frame["shop"] = frame["shop"].fillna("unknown")
y = frame["size"].map(ORDER)
booster = xgboost.train({}, frame[["a", "shop"]], y)
booster.save_model(args.model_out)
open(args.metrics_out, "w").write(json.dumps({"valid": {"log_loss": 1.0}}))
"""


@pytest.mark.parametrize(
    "order", ['["small", "medium", "large"]', '{"small": 0, "medium": 1, "large": 2}']
)
def test_classes_metric_and_filled_cells_are_as_the_script_says(tmp_path, order) -> None:
    names = ["small", "medium", "large"]
    rows = "\n".join(f"{i},{'' if i % 9 == 0 else 'north'},{names[i % 3]}" for i in range(300))
    script = f"ORDER = {order}\nTARGET = 'size'\n{SIZES}"
    files(tmp_path, **{"rows.csv": f"a,shop,size\n{rows}", "train.py": script})
    config = proposed(tmp_path)
    assert config["data"]["classes"] == names
    assert config["data"]["columns"]["shop"]["fill"] == "unknown"
    assert config["metric"]["name"] == "log_loss"
    assert config["metric"]["reported_as"] == "valid.log_loss"
    text = initproject.propose(tmp_path).text
    assert "# check: every label, as the scripts order them" in text
    assert "must write one" not in text


@pytest.mark.parametrize(
    ("labels", "metric", "expected"),
    [
        (["ham", "ham", "spam"], "f1", 0.5),
        ([0, 1], "f1", 2 / 3),
        (["a", "b", "c", "c"], "f1", None),
        (["a", "b", "c"], "log_loss", math.log(3)),
        (["a", "b", "b", "b"], "accuracy", 0.75),
        ([0, 1, 1], "roc_auc", 0.5),
        ([1.5, 2.5], "r2", 0.0),
    ],
)
def test_the_limit_starts_from_what_a_constant_scores(tmp_path, labels, metric, expected) -> None:
    rows = "\n".join(f"{i},{label}" for i, label in enumerate(labels))
    files(tmp_path, **{"rows.csv": f"a,y\n{rows}"})
    found = naive_error(tmp_path, Path("rows.csv"), "y", metric)
    assert found == (expected if expected is None else pytest.approx(expected))
