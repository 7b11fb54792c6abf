"""What `init` and `doctor` see of scripts by other hands, none of which is run."""

import json
import subprocess
from pathlib import Path

import pytest

from ml_pipeline.settings.survey import guesses, linters, tools
from ml_pipeline.settings.survey.layout import layout_of
from ml_pipeline.settings.survey.scripts import Script, scripts
from tests.fakes.projects import write_files


def seen(root: Path, text: str, name: str = "train.py") -> Script:
    """The likeliest training of a project with this script, as it is found."""
    write_files(root, {name: text})
    return guesses.training(scripts(root))[0]


def command(root: Path, text: str, name: str = "train.py") -> str:
    script = seen(root, text, name)
    return " ".join(guesses.training_command(script, layout_of(root, {})).argv)


def doubt(root: Path, text: str, name: str = "train.py") -> str:
    return guesses.training_command(seen(root, text, name), layout_of(root, {})).doubt


FIT = "model.fit(x, y)\njoblib.dump(model, 'm.joblib')\n"

ARGPARSE = """
import argparse
def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--verbose", action="store_true")
    parts = parser.add_subparsers(dest="what")
    fit = parts.add_parser("fit")
    fit.add_argument("--data", required=True)
    fit.add_argument("--out", default="here")
    fit.add_argument("--C", type=float, default=1.0)
    group = fit.add_argument_group("trees")
    group.add_argument("--max-depth", type=int, default=3)
    use = parts.add_parser("predict")
    use.add_argument("--model", required=True)
"""
CLICK = """
import click
@click.group()
def cli(): ...
@cli.command("fit")
@click.option("--data", required=True, type=click.Path(exists=True))
@click.option("-o", "--out", default="here")
@click.option("--C", "c", default=1.0)
@click.option("--max-depth", default=3)
@click.option("--shuffle/--no-shuffle", default=True)
def train_it(data, out, c, max_depth, shuffle): ...
@cli.command()
@click.option("--model", required=True)
def predict(model): ...
"""
TYPER = """
import typer
from pathlib import Path
from typing import Annotated
app = typer.Typer()
@app.command()
def fit(
    data: Annotated[Path, typer.Option(exists=True)],
    out: Path = typer.Option(Path("here"), "--out", "-o"),
    C: float = 1.0,
    max_depth: int = 3,
    shuffle: bool = True,
): ...
@app.command()
def predict(model: Path): ...
"""
FIRE = """
import fire
def fit(data, out="here", C=1.0, max_depth=3): ...
def predict(model): ...
fire.Fire({"fit": fit, "predict": predict})
"""


@pytest.mark.parametrize(
    "text", [ARGPARSE, CLICK, TYPER, FIRE], ids=["argparse", "click", "typer", "fire"]
)
def test_the_subcommand_that_fits_is_called_with_its_own_options(tmp_path, text) -> None:
    script = seen(tmp_path, text + FIT, "cli.py")
    argv = guesses.training_command(script, layout_of(tmp_path, {})).argv
    assert argv == ["python", "cli.py", "fit", "--data", "{data}", "--out", "{output}"]
    values = {
        name.replace("-", "_"): value for name, value in guesses.hyperparameters(script).items()
    }
    assert values == {"C": 1.0, "max_depth": 3}


def test_one_typer_command_has_no_word_of_its_own(tmp_path) -> None:
    text = TYPER.partition("@app.command()\ndef predict")[0] + FIT
    assert command(tmp_path, text, "cli.py") == "python cli.py --data {data} --out {output}"


def test_typer_run_takes_a_function_and_what_has_no_default_by_its_place(tmp_path) -> None:
    text = "import typer\ndef main(data: str, out: str = 'x'): ...\ntyper.run(main)\n" + FIT
    assert command(tmp_path, text) == "python train.py {data} --out {output}"


def test_nested_groups_give_all_their_words(tmp_path) -> None:
    text = """
    import click
    @click.group()
    def cli(): ...
    @cli.group()
    def model(): ...
    @click.command()
    @click.option("--data")
    @click.option("--out")
    def fit_cmd(data, out): clf.fit(data)
    model.add_command(fit_cmd)
    """
    assert command(tmp_path, text, "cli.py").startswith("python cli.py model fit --data")


def test_a_command_class_of_fire_takes_what_it_is_made_with_too(tmp_path) -> None:
    text = """
    import fire
    class Model:
        def __init__(self, out="x"): ...
        def fit(self, data): clf.fit(data)
        def _helper(self): ...
    fire.Fire(Model)
    """
    assert command(tmp_path, text) == "python train.py fit --data {data} --out {output}"


def test_arguments_by_place_keep_the_order_of_the_script(tmp_path) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\n" + "".join(
        f"p.add_argument({name!r})\n" for name in ("output_dir", "data")
    )
    assert command(tmp_path, text + FIT) == "python train.py {output} {data}"


def test_words_of_sys_argv_are_taken_by_the_names_they_are_given(tmp_path) -> None:
    text = "import sys\nout_dir = sys.argv[2]\ndata_path = sys.argv[1]\n" + FIT
    assert command(tmp_path, text) == "python train.py {data} {output}"


def test_the_only_required_option_is_taken_for_the_rows_and_marked(tmp_path) -> None:
    text = """
    import argparse
    p = argparse.ArgumentParser()
    p.add_argument("--reviews", required=True)
    p.add_argument("--out", default="x")
    p.add_argument("--depth", default=3)
    """ + FIT.replace("\n", "\n    ")
    assert command(tmp_path, text) == "python train.py --reviews {data} --out {output}"
    assert "--reviews is taken for the rows" in doubt(tmp_path, text)


def test_an_option_whose_default_is_a_table_is_taken_for_the_rows(tmp_path) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\n"
    text += "p.add_argument('--trips', default='data/trips.csv')\n"
    text += "p.add_argument('--name', required=True)\n"
    assert "--trips {data}" in command(tmp_path, text + FIT)
    assert "the script also requires --name" in doubt(tmp_path, text + FIT)


def test_a_choice_of_model_is_a_hyperparameter_and_no_path(tmp_path) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--data')\n"
    text += (
        "p.add_argument('--out')\np.add_argument('--model', default='rf', choices=['rf', 'gb'])\n"
    )
    script = seen(tmp_path, text + FIT)
    assert guesses.hyperparameters(script) == {"model": "rf"}


def test_options_keep_their_case_and_their_hyphens(tmp_path) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--C', default=1.0)\n"
    script = seen(tmp_path, text + "p.add_argument('--max-iter', default=9)\n" + FIT)
    assert (guesses.style(script), list(guesses.hyperparameters(script))) == ("", ["C", "max_iter"])
    script = seen(
        tmp_path,
        text
        + "p.add_argument('--l1-ratio', default=.5)\np.add_argument('--min_df', default=2)\n"
        + FIT,
    )
    assert guesses.style(script) == "underscored"
    assert list(guesses.hyperparameters(script)) == ["C", "l1-ratio", "min_df"]


def test_a_script_with_relative_imports_is_started_as_a_module(tmp_path) -> None:
    text = "from .data import load\n" + FIT
    write_files(tmp_path, {"src/pkg/__init__.py": "", "src/pkg/data.py": "def load(): ...\n"})
    script = seen(tmp_path, text, "src/pkg/train.py")
    packaged = layout_of(tmp_path, {"build-system": {}})
    assert packaged.launch(script).argv == ("python", "-m", "pkg.train")
    assert packaged.launch(script).root == ""
    assert layout_of(tmp_path, {}).launch(script).root == "src"


def test_a_package_beside_the_configuration_needs_no_path(tmp_path) -> None:
    write_files(tmp_path, {"pkg/__init__.py": "", "pkg/data.py": ""})
    script = seen(tmp_path, "from pkg.data import load\n" + FIT, "pkg/train.py")
    launch = layout_of(tmp_path, {}).launch(script)
    assert (launch.argv, launch.root) == (("python", "-m", "pkg.train"), "")


def test_a_script_that_imports_its_neighbours_stays_a_file(tmp_path) -> None:
    write_files(tmp_path, {"src/data.py": ""})
    script = seen(tmp_path, "from data import load\n" + FIT, "src/train.py")
    assert layout_of(tmp_path, {}).launch(script).argv == ("python", "src/train.py")


def test_a_console_script_starts_what_does_not_start_by_itself(tmp_path) -> None:
    write_files(tmp_path, {"src/pkg/__init__.py": ""})
    script = seen(tmp_path, CLICK + "def x():\n    clf.fit(1)\n", "src/pkg/cli.py")
    project = {"build-system": {}, "project": {"scripts": {"churn": "pkg.cli:cli"}}}
    assert layout_of(tmp_path, project).launch(script).argv == ("churn",)


@pytest.mark.parametrize(
    ("text", "artifact"),
    [
        ("booster.save_model(out / 'demand.ubj')", "demand.ubj"),
        ("import xgboost\nbooster.save_model(os.path.join(out, 'model.json'))", "model.json"),
        ("path = f'{out}/trees.txt'\nmodel.booster_.save_model(path)", "trees.txt"),
        ("from catboost import CatBoost\nmodel.save_model('m.cbm', format='cbm')", "m.cbm"),
        ("booster.save_model('old.bst')", "old.bst"),
        ("import pickle\nwith open(out / 'm.pkl', 'wb') as f:\n    pickle.dump(model, f)", "m.pkl"),
        ("import joblib\njoblib.dump(model, out / 'm.joblib')", "m.joblib"),
        ("import skops.io as sio\nsio.dump(model, out / 'm.skops')", "m.skops"),
        ("import onnx\nonnx.save(model, 'm.onnx')", "m.onnx"),
        ("import lightgbm\nmodel.save_model(args.there)", "model.txt"),
        ("import xgboost\nbooster.save_model(args.there)", "model.ubj"),
    ],
)
def test_the_file_a_model_is_written_to_is_the_artifact(tmp_path, text, artifact) -> None:
    more = "\nopen('other.txt').read()\njson.load(open('settings.json'))\n"
    script = seen(tmp_path, "model.fit(1)\n" + text + more)
    assert guesses.artifact(script) == artifact


def test_an_ending_nobody_loads_is_pointed_out(tmp_path) -> None:
    script = seen(tmp_path, "model.fit(1)\nbooster.save_model('old.bst')\n")
    assert "no loader is known for old.bst" in guesses.artifact_doubt(script)


def test_a_booster_in_json_is_no_report(tmp_path) -> None:
    text = "model.fit(1)\nmodel.save_model('score-model.json')\njson.dump(x, open('a.json', 'w'))\n"
    assert seen(tmp_path, text).reports == ["a.json"]


REPORTS = {
    "at once": """
        import json
        json.dump({"train": {"mae": 1}, "test": {"mae": a, "rmse": b}}, open("r.json", "w"))
    """,
    "by name": """
        import json
        test = dict(mae=a, rmse=b)
        both = {"train": {"mae": 1}, "test": test}
        (out / "r.json").write_text(json.dumps(both))
    """,
    "by function": """
        import json
        def scored(): return {"mae": a, "rmse": b}
        found = {}
        found["test"] = scored()
        with open("r.json", "w") as file:
            json.dump(found, file)
    """,
}


@pytest.mark.parametrize("text", REPORTS.values(), ids=REPORTS)
def test_nested_metrics_are_named_with_dots_and_those_of_the_test_rows_first(
    tmp_path, text
) -> None:
    script = seen(tmp_path, text.rstrip() + "\n        model.fit(1)\n")
    assert script.reports == ["r.json"]
    assert script.metrics == {"mae": "test.mae", "rmse": "test.rmse"}


def test_what_a_script_imports_of_the_project_is_seen_with_it(tmp_path) -> None:
    text = "from .inner import go\nif __name__ == '__main__':\n    go()\n"
    inner = "def go():\n    pd.read_parquet(p)\n    model.fit(1)\n    model.save_model('x.cbm')\n"
    write_files(tmp_path, {"pkg/__init__.py": "", "pkg/inner.py": inner})
    script = seen(tmp_path, text, "pkg/train.py")
    assert (script.path.as_posix(), script.formats, script.artifacts) == (
        "pkg/train.py", {"Parquet"}, ["x.cbm"],
    )  # fmt: skip


LINTERS = {
    "flake8": ["flake8", "--extend-exclude=.ml-pipeline,runs", "."],
    "ruff": ["ruff", "check", "--extend-exclude=.ml-pipeline,runs", "."],
    "pylint": ["pylint", "--recursive=y", "--ignore=.ml-pipeline,runs", "."],
    "black": ["black", "--check", r"--force-exclude=/(\.ml-pipeline|runs)/", "."],
    "isort": ["isort", "--check-only", "--extend-skip=.ml-pipeline", "--extend-skip=runs", "."],
    "mypy": ["mypy", "--exclude=^runs/", "."],
}


@pytest.mark.parametrize(("name", "argv"), LINTERS.items())
def test_a_linter_keeps_out_of_what_the_pipeline_writes(tmp_path, name, argv) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.{name}]\n", encoding="utf-8")
    (found,) = linters.linters(tmp_path, frozenset({name}))
    assert list(found.argv) == argv
    assert (found.declared, found.file) == (True, "pyproject.toml")
    assert linters.lacking_exclusion(tmp_path, found.argv) == ""


def test_what_the_project_leaves_out_itself_stays_left_out(tmp_path) -> None:
    write_files(tmp_path, {
        ".flake8": "[flake8]\nextend-exclude =\n    migrations,\n    old\n",
        ".isort.cfg": "[settings]\nextend_skip = migrations\n",
        "pyproject.toml": '[tool.black]\nforce-exclude = "/old/"\n'
        '[tool.pylint.main]\nignore = ["old"]\n',
    })  # fmt: skip
    argvs = {one.argv[0]: one.argv for one in linters.linters(tmp_path, frozenset())}
    assert "--extend-exclude=migrations,old,.ml-pipeline,runs" in argvs["flake8"]
    assert "--extend-skip=migrations" in argvs["isort"]
    assert r"--force-exclude=(/old/)|/(\.ml-pipeline|runs)/" in argvs["black"]
    assert "--ignore=old,.ml-pipeline,runs" in argvs["pylint"]


def test_a_linter_a_makefile_runs_is_known_by_it(tmp_path) -> None:
    (tmp_path / "Makefile").write_text("lint:\n\tmypy --strict src\n", encoding="utf-8")
    (found,) = linters.linters(tmp_path, frozenset())
    assert (found.file, found.runs, found.declared) == ("Makefile", True, False)


@pytest.mark.parametrize(
    ("argv", "lacking"),
    [
        ("flake8 .", "--extend-exclude=.ml-pipeline,runs"),
        ("python -m flake8", "--extend-exclude=.ml-pipeline,runs"),
        ("pylint --recursive=y .", "--ignore=.ml-pipeline,runs"),
        ("isort --check .", "--extend-skip=.ml-pipeline"),
        ("flake8 src", ""),
        ("mypy .", ""),
        ("pytest .", ""),
    ],
)
def test_a_linter_that_walks_into_the_pipelines_folders_is_known(tmp_path, argv, lacking) -> None:
    assert linters.lacking_exclusion(tmp_path, tuple(argv.split())) == lacking
    (tmp_path / ".flake8").write_text("[flake8]\nexclude = .ml-pipeline\n", encoding="utf-8")
    if "flake8" in argv:
        assert linters.lacking_exclusion(tmp_path, tuple(argv.split())) == ""


@pytest.mark.parametrize(
    ("own", "lacking"),
    [
        ("", ""),
        ("norecursedirs = old", "--ignore=.ml-pipeline"),
        ("norecursedirs = old .*", ""),
        ("norecursedirs = old\ntestpaths = tests", ""),
    ],
)
def test_pytest_walks_there_only_where_the_project_says_where_not(tmp_path, own, lacking) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{own}\n", encoding="utf-8")
    assert linters.lacking_exclusion(tmp_path, ("python", "-m", "pytest")) == lacking


def test_tests_beside_the_code_are_found_without_what_the_pipeline_writes(tmp_path) -> None:
    write_files(tmp_path, {"test_model.py": "import pytest\n"})
    found = tools.unit_tests(tmp_path, frozenset(), scripts(tmp_path))
    assert found is not None
    assert list(found.argv) == [
        "python", "-m", "pytest", "--ignore=.ml-pipeline", "--ignore=runs", "--junitxml={junit}",
    ]  # fmt: skip
    assert "pytest is not among the project's dependencies" in found.doubt


def test_tests_of_unittest_are_run_by_it(tmp_path) -> None:
    write_files(tmp_path, {"tests/test_model.py": "import unittest\n"})
    found = tools.unit_tests(tmp_path, frozenset(), scripts(tmp_path))
    assert found is not None
    assert list(found.argv) == ["python", "-m", "unittest", "discover", "-s", "tests"]


def test_options_in_a_file_the_script_imports_are_its_own(tmp_path) -> None:
    text = "import argparse\ndef get_args():\n    p = argparse.ArgumentParser()\n"
    text += "    p.add_argument('--train-file')\n    p.add_argument('--workdir')\n"
    write_files(tmp_path, {"app/config.py": text})
    main = "from config import get_args\nargs = get_args()\n" + FIT
    assert command(tmp_path, main, "app/main.py") == (
        "python app/main.py --train-file {data} --workdir {output}"
    )


def test_a_package_that_can_be_run_is_run_with_the_commands_of_its_parts(tmp_path) -> None:
    cli = TYPER.replace("@app.command()\ndef pred", "def main(): app()\n@app.command()\ndef pred")
    write_files(tmp_path, {"pkg/__init__.py": "", "pkg/cli.py": cli + "def run(): m.fit(1)\n"})
    main = "from pkg.cli import main\nmain()\n"
    assert command(tmp_path, main, "pkg/__main__.py").startswith("python -m pkg fit --data")


def test_commands_put_together_do_not_run_by_that(tmp_path) -> None:
    text = TYPER + "def inner(): m.fit(1)\nother = typer.Typer()\napp.add_typer(other, name='x')\n"
    assert not seen(tmp_path, text, "cli.py").runs
    assert "nothing in the file runs its commands" in doubt(tmp_path, text, "cli.py")
    assert seen(tmp_path, text + "app()\n", "cli.py").runs


@pytest.mark.parametrize("name", ["workdir", "run_dir", "export-folder", "checkpoints-dir"])
def test_a_folder_that_is_no_input_is_where_the_model_goes(tmp_path, name) -> None:
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--data')\n"
    text += "p.add_argument('--log-dir', default='logs')\n"
    text += f"p.add_argument('--{name}', default='x')\n"
    assert command(tmp_path, text + FIT) == f"python train.py --data {{data}} --{name} {{output}}"


def test_a_word_that_is_written_to_at_once_is_the_output(tmp_path) -> None:
    write_files(tmp_path, {"dataset.py": "import sys\ntable.to_csv(sys.argv[1])\n"})
    found = guesses.fetcher(scripts(tmp_path), layout_of(tmp_path, {}))
    assert found is not None
    assert found.argv == ["python", "dataset.py", "{output}"]


GERMAN = """
import argparse, joblib, pandas as pd
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--daten", required=True)
parser.add_argument("--ausgabe", required=True)
parser.add_argument("--tiefe", type=int, default=3)
args = parser.parse_args()
frame = pd.read_csv(args.daten)
folder = Path(args.ausgabe)
folder.mkdir(exist_ok=True)
model.fit(frame, y)
joblib.dump(model, folder / "m.joblib")
"""


def test_options_in_any_language_are_known_by_what_is_done_with_them(tmp_path) -> None:
    assert command(tmp_path, GERMAN) == "python train.py --daten {data} --ausgabe {output}"
    said = doubt(tmp_path, GERMAN)
    assert "--daten is taken for the rows: the script reads it" in said
    assert "--ausgabe is taken for the folder to write to: it is made" in said


def test_an_argument_that_may_be_left_out_is_not_asked_for(tmp_path) -> None:
    text = """
import sys
data, model_file = sys.argv[1], sys.argv[2]
alpha = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
"""
    options = seen(tmp_path, text + FIT).options
    assert [one.required for one in options] == [True, True, False]


FIXED = """
import json, joblib, pandas as pd
frame = pd.read_csv("data/train.csv")
model.fit(frame[["x"]], frame["y"])
joblib.dump(model, "models/m.joblib")
"""


def test_a_script_with_paths_of_its_own_runs_where_it_may_write(tmp_path) -> None:
    """For real: nothing of the project changes, and the rows it sees are those it was given."""
    project, output = tmp_path / "my project", tmp_path / "out put"
    output.mkdir()
    write_files(project, {"data/train.csv": "all the rows"})
    script = seen(project, FIXED)
    assert guesses.artifact(script) == "models/m.joblib"
    argv = guesses.training_command(script, layout_of(project, {})).argv
    trains = "import shutil; shutil.copy('data/train.csv', 'models/m.joblib')"  # as FIXED would
    write_files(project, {"train.py": trains})
    rows = tmp_path / "given rows.csv"
    rows.write_text("training rows")
    given = [{"{data}": str(rows), "{output}": str(output)}.get(word, word) for word in argv]
    subprocess.run(given, cwd=project, check=True)
    assert (output / "models/m.joblib").read_text() == "training rows"
    assert json.loads((output / "metrics.json").read_text()) == {"exit_code": 0}
    assert (project / "data/train.csv").read_text() == "all the rows"
    assert not (project / "models").exists()


@pytest.mark.parametrize("path", ["../data/train.csv", "/data/train.csv", "da$(id)ta/train.csv"])
def test_a_path_that_leaves_its_folder_or_means_something_to_a_shell_is_left_alone(
    tmp_path, path
) -> None:
    assert command(tmp_path, FIXED.replace("data/train.csv", path)) == "python train.py"
