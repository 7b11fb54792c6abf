"""`ml-pipeline doctor` names what is missing to run, and what to do about it."""

import os
import socket
from pathlib import Path

import pytest

from ml_pipeline.entry import trained_artifact
from ml_pipeline.settings import machine, readiness
from ml_pipeline.settings.doctor import Finding, Level, examine
from tests.unit.test_settings import LEAST

PATH = {"PATH": os.environ["PATH"]}  # noqa: TID251  # handed on as a value, as the CLI does


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = "".join(f"{i % 7},{i % 5},{i}\n" for i in range(600))
    (tmp_path / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "rides.csv").write_text("km,hour,minutes\n" + rows, encoding="utf-8")
    (tmp_path / "train.py").write_text("", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("scikit-learn\npytest\n", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    return tmp_path


def found(project: Path, *sets: str, **environ: str) -> list[Finding]:
    return list(examine(project, sets=sets, environ={**PATH, **environ}))


def wrong(project: Path, *sets: str, **environ: str) -> list[tuple[str, str, str]]:
    return [
        (one.level, one.subject, one.message)
        for one in found(project, *sets, **environ)
        if one.level is not Level.OK
    ]


def test_a_project_that_has_everything_is_well(project) -> None:
    assert wrong(project) == []
    assert {one.subject for one in found(project)} >= {
        "python", "uv", "git", "folder", "disk", "settings", "environment", "train.command",
        "data",
    }  # fmt: skip


def test_rows_parted_by_another_sign_are_read_as_the_settings_say(project) -> None:
    table = project / "rides.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    assert wrong(project, "data.separator=;") == []
    (bad,) = [one for one in found(project) if one.level is not Level.OK]
    assert bad.remedy == 'Set data.separator = ";" if that parts its cells.'


def test_an_image_that_is_named_by_a_tag_is_warned_of(project) -> None:
    cloud = ("platform=vertex", "vertex.project=shop-123", "vertex.bucket=rows")
    for reference, warned in (("eu/shop:1", 1), ("eu/shop@sha256:" + "0" * 64, 0)):
        told = wrong(project, *cloud, f"vertex.image={reference}")
        tags = [one for one in told if one[:2] == ("warn", "vertex.image")]
        assert len(tags) == warned, told


def test_what_is_not_well_has_a_remedy(project) -> None:
    (project / "train.py").unlink()
    (project / "requirements.txt").unlink()
    bad = [one for one in found(project, "train.artifact=m.pkl") if one.level is not Level.OK]
    assert len(bad) == 3
    assert all(one.remedy.endswith(".") for one in bad)


def test_faults_of_the_settings_are_findings_and_the_machine_is_still_looked_at(project) -> None:
    findings = found(project, "load.rate_per_s=0", "gate.tolerance=7")
    assert [one.message for one in findings if one.subject == "settings"] == [
        "--set: gate.tolerance: 7: must be a number at least 0 and at most 1",
        "--set: load.rate_per_s: 0: must be a number greater than 0",
    ]
    assert "uv" in {one.subject for one in findings}


def test_what_the_settings_have_against_a_command_is_not_followed_by_its_praise(project) -> None:
    text = LEAST.replace('"{output}"', '"{outptu}"')
    (project / "ml-pipeline.toml").write_text(text, encoding="utf-8")
    told = [one for one in found(project) if "train.command" in one.subject + one.message]
    assert told
    assert {one.level for one in told} == {Level.FAIL}


def test_faults_of_the_settings_come_with_all_that_is_wrong_besides(project) -> None:
    (project / "train.py").unlink()
    text = LEAST.replace("limit = 5", "limits = 5").replace("max = 60\n", "")
    (project / "ml-pipeline.toml").write_text(text, encoding="utf-8")
    bad = [one for one in found(project, "data.min_rows=900") if one.level is not Level.OK]
    file = project / "ml-pipeline.toml"
    assert [(one.subject, one.message.removeprefix(f"{file}: ")[:30]) for one in bad] == [
        ("settings", "gate.limits: unknown key; did "),
        ("settings", "metric.max: is missing: it mus"),
        ("settings", "gate.limit: is missing: it mus"),
        ("train.command", "names train.py, which is not i"),
        ("data", "rides.csv has 600 rows, fewer "),
    ]
    assert [one.remedy for one in bad[:3]] == [
        f"Correct the name of gate.limits in {file}, or remove it.",
        f"Set metric.max in {file}.",
        f"Set gate.limit in {file}.",
    ]


def test_a_folder_that_is_not_there_is_a_finding(tmp_path) -> None:
    assert ("fail", "settings", f"{tmp_path / 'no'}: there is no such folder") in wrong(
        tmp_path / "no"
    )


def test_a_script_that_is_not_there_is_named(project) -> None:
    (project / "train.py").unlink()
    assert wrong(project) == [
        ("fail", "train.command", f"names train.py, which is not in {project}")
    ]


def test_a_program_nobody_installs_is_named(project) -> None:
    assert wrong(project, 'checks.lint=[["nobody-installs-this", "."]]') == [
        ("warn", "checks.lint[0]", "nobody-installs-this is no dependency of the project")
    ]
    assert wrong(project, 'checks.unit_test=["python", "-m", "nose2"]') == [
        ("warn", "checks.unit_test", "nose2 is no dependency of the project")
    ]
    assert wrong(project, 'checks.unit_test=["python", "-m", "unittest"]') == []


def test_an_environment_that_cannot_be_made_is_named(project) -> None:
    (project / "requirements.txt").unlink()
    (finding,) = wrong(project)
    assert finding[:2] == ("fail", "environment")


def test_a_python_the_project_refuses_is_named(project) -> None:
    text = '[project]\nname = "x"\nversion = "1"\nrequires-python = "<3"\ndependencies = []\n'
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    (finding,) = wrong(project)
    assert finding[2].startswith("the project needs Python <3, this is 3.")


def test_a_column_the_rows_lack_is_named(project) -> None:
    ((level, subject, message),) = wrong(project, 'data.features=["km", "wind"]')
    assert (level, subject) == ("fail", "data")
    assert "wind" in message


def test_too_few_rows_are_named(project) -> None:
    assert wrong(project, "data.min_rows=601") == [
        ("fail", "data", "rides.csv has 600 rows, fewer than data.min_rows 601")
    ]
    held = "about 120 rows are held out, fewer than gate.min_rows"
    assert wrong(project, "gate.min_rows=200") == [
        ("warn", "gate", f"{held} 200: no verdict will be possible"),
    ]


def test_a_pickle_without_the_opt_in_is_named(project) -> None:
    assert wrong(project, "train.artifact=m.joblib", "train.allow_pickle=true") == []
    assert wrong(project, "train.artifact=m.joblib") == [
        ("fail", "train.artifact", "m.joblib is a pickle, which runs code when it is loaded")
    ]


def test_a_native_model_that_takes_text_is_named_before_it_is_trained(project) -> None:
    feature = "km"
    text = f"data.columns.{feature}.type=text"
    said = ("fail", "train.artifact", f"m.cbm has no ONNX form where {feature} is text")
    assert said in wrong(project, "train.artifact=m.cbm", text)
    export = 'package.export=["python", "x.py", "{model}", "{output}"]'
    assert said not in wrong(project, "train.artifact=m.cbm", text, export)
    assert wrong(project, "train.artifact=m.cbm") == []


def test_a_taken_port_is_named(project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert wrong(project, f"local.port={number}") == [
            ("fail", "port", f"{number} is taken by another program")
        ]
    assert wrong(project, f"local.port={number}") == []


def test_a_wrong_webhook_is_named_but_not_shown(project) -> None:
    findings = wrong(project, ML_PIPELINE_SLACK_WEBHOOK="canary")
    assert [finding[1] for finding in findings] == ["secrets"]
    assert "canary" not in repr(findings)


def test_without_git_there_is_a_warning(project) -> None:
    (project / ".git").rmdir()
    assert ("warn", "git", "this is no repository") in wrong(project)
    assert ("warn", "git", "is not installed") in wrong(project, PATH="/nowhere")


@pytest.mark.parametrize(
    ("free_mib", "level"), [(100, "fail"), (2000, "warn"), (9000, "ok")]
)  # fmt: skip
def test_a_full_disk_is_named(free_mib, level) -> None:
    assert machine._disk(free_mib).level == level


@pytest.mark.parametrize(("version", "level"), [((3, 10, 1), "fail"), ((3, 12, 0), "ok")])
def test_an_old_python_is_named(version, level) -> None:
    assert machine._python(version).level == level


PARSER = """
import argparse
import pandas as pd
p = argparse.ArgumentParser()
p.add_argument("--data", required=True)
p.add_argument("--out")
p.add_argument("--C", type=float, default=1.0)
p.add_argument("--min_df", default=1)
a = p.parse_args()
pd.read_csv(a.data)
"""


UNSEEN = PARSER.replace("parse_args", "parse_known_args")


@pytest.mark.parametrize(
    ("words", "script", "level", "message"),
    [
        ("--data {data} --Out {output}", PARSER, "fail", "has --out, and no --Out"),
        ("--data {data} --where={output}", PARSER, "warn",
         "shows no option --where; it has --C, --data, --min_df, --out"),
        ("--out {output} {data}", PARSER, "warn", "requires --data, which it does not give"),
        ("--data {data} --where={output}", UNSEEN, None, ""),
        ("--data {data} --out {output}", PARSER, None, ""),
        ("--data {data} --out {output}", "from other import main\nmain()\n", None, ""),
    ],
)  # fmt: skip
def test_an_option_the_script_does_not_have_is_named(
    project, words, script, level, message
) -> None:
    (project / "train.py").write_text(script, encoding="utf-8")
    argv = ["python", "train.py", *words.split()]
    expected = [(level, "train.command", f"train.py {message}")] if level else []
    assert wrong(project, f"train.command={argv}") == expected


def test_a_subcommand_that_is_not_there_is_named(project) -> None:
    script = "import click\n@click.group()\ndef cli(): ...\n@cli.command()\n"
    script += "@click.option('--data')\n@click.option('--out')\ndef fit(data, out): ...\ncli()\n"
    (project / "train.py").write_text(script, encoding="utf-8")
    assert wrong(project) == [
        ("fail", "train.command", "names no command of train.py, which has fit")
    ]
    argv = ["python", "train.py", "fit", "--data", "{data}", "--out", "{output}"]
    assert wrong(project, f"train.command={argv}") == []


def test_hyperparameters_are_held_against_the_options_of_the_script(project) -> None:
    (project / "train.py").write_text(PARSER, encoding="utf-8")
    sets = ("hyperparameters.c=0.5", "hyperparameters.min_df=2", "hyperparameters.C=1.5")
    bad = [one for one in found(project, *sets) if one.level is not Level.OK]
    assert [(one.level, one.subject, one.message, one.remedy) for one in bad] == [
        ("fail", "hyperparameters.c", "train.py has --C, and no --c",
         "Rename c to C under [hyperparameters]."),
        ("fail", "hyperparameters.min_df", "train.py has --min_df, and no --min-df",
         'Set train.hyperparameter_style = "underscored".'),
    ]  # fmt: skip
    assert wrong(project, *sets[1:], "train.hyperparameter_style=underscored") == []


def test_a_file_with_relative_imports_has_to_be_started_as_a_module(project) -> None:
    folder = project / "src" / "rides"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "fit.py").write_text("from . import other\n", encoding="utf-8")
    words = ["{data}", "{output}"]
    (bad,) = [
        one
        for one in found(project, f"train.command={['python', 'src/rides/fit.py', *words]}")
        if one.level is not Level.OK
    ]
    assert bad.message == "src/rides/fit.py imports from its own package, which a file cannot"
    assert bad.remedy == (
        'Begin it with "python", "-m", "rides.fit", with environment.variables ='
        ' { PYTHONPATH = "src" }.'
    )
    module = f"train.command={['python', '-m', 'rides.fit', *words]}"
    assert wrong(project, module) == [
        ("fail", "train.command", "rides.fit lies in src, where Python does not look for it")
    ]
    path = "environment.variables.PYTHONPATH=src"
    assert wrong(project, module, path) == []
    assert wrong(project, module.replace("fit", "fits"), path) == [
        (
            "fail",
            "train.command",
            "the project has no module 'rides.fits'; did you mean 'rides.fit'?",
        )
    ]


@pytest.mark.parametrize(
    ("reads", "given", "subject"),
    [
        ("read_parquet", "csv", "data.format"),
        ("read_csv", "parquet", "data.format"),
        ("read_csv", "csv", None),
        ("read_parquet", "parquet", None),
        ("read_feather", "csv", "data.format"),
    ],
)
def test_rows_a_training_cannot_read_are_named(project, reads, given, subject) -> None:
    (project / "train.py").write_text("from loading import rows\n", encoding="utf-8")
    (project / "loading.py").write_text(f"pd.{reads}(path)\n", encoding="utf-8")
    assert [one[1] for one in wrong(project, f"data.format={given}")] == [subject] * bool(subject)


def test_a_target_of_text_needs_its_labels(project) -> None:
    rows = "".join(f"{i % 7},{i % 5},{'late' if i % 2 else 'on time'}\n" for i in range(600))
    (project / "rides.csv").write_text("km,hour,minutes\n" + rows, encoding="utf-8")
    (bad,) = [one for one in found(project) if one.level is not Level.OK]
    assert (bad.level, bad.subject) == ("fail", "data.classes")
    assert bad.message == (
        "the target minutes holds text ('late', 'on time'), and no classes are listed"
    )
    assert bad.remedy.startswith('Set data.classes = ["on time", "late"]; ')
    assert wrong(project, 'data.classes=["on time", "late"]') == []
    assert wrong(project, 'data.classes=["on time", "early"]') == [
        ("fail", "data.classes", "the target minutes also holds 'late'")
    ]


def test_a_linter_that_walks_into_the_pipelines_folder_is_named(project) -> None:
    (project / "requirements.txt").write_text("scikit-learn\nflake8\n", encoding="utf-8")
    (bad,) = [one for one in found(project, 'checks.lint=[["flake8", "."]]') if one.remedy]
    assert (bad.level, bad.subject, bad.message) == (
        "warn", "checks.lint[0]", "flake8 walks into .ml-pipeline, which holds whole environments",
    )  # fmt: skip
    assert bad.remedy == 'Add "--extend-exclude=.ml-pipeline,runs" to it.'


def test_a_model_nothing_can_load_is_named(project) -> None:
    assert wrong(project, "train.artifact=model.bst") == [
        ("fail", "train.artifact", "model.bst has an ending that nothing can load")
    ]
    assert set(readiness.LOADABLE) == {".onnx", *trained_artifact._LOADERS}


@pytest.mark.parametrize("name", ["freshmart", "flights"])
def test_the_examples_lack_nothing(name) -> None:
    example = Path(__file__).parents[2] / "examples" / name
    assert [one for one in wrong(example) if one[1] not in {"git", "disk"}] == []
