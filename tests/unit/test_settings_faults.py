# ruff: noqa: E501  # a golden line is one line, as users see it
"""Every fault stops before any work, all at once, naming file, key, value and what is allowed."""

from pathlib import Path

import pytest

from ml_pipeline.domain.errors import ConfigurationError, ExitCode
from ml_pipeline.settings import load
from tests.unit.test_settings import LEAST

INIT = "Run `ml-pipeline init` in the project's folder; it writes one."


#: What was set, and the line it leads to; texts of an interface, so a change is a decision.
WRONG = """
load.rate_per_s=true
    load.rate_per_s: true: must be a number greater than 0
load.rate_per_s=nan
    load.rate_per_s: NaN: must be a finite number
load.rate_per_s=inf
    load.rate_per_s: Infinity: must be a finite number
gate.tolerance=5
    gate.tolerance: 5: must be a number at least 0 and at most 1
gate.rule=superiour
    gate.rule: "superiour": must be one of non-inferior, superior; did you mean 'superior'?
package.format=onx
    package.format: "onx": must be one of onnx, skops; did you mean 'onnx'?
model=My Model
    model: "My Model": must be at most 63 lower-case letters, digits and hyphens
train.allow_pickle=1
    train.allow_pickle: 1: must be true or false
data.features=[]
    data.features: []: must be a list with at least one entry, each text
data.features=["km", 2]
    data.features[1]: 2: must be text
checks.lint=[["ruff", 1]]
    checks.lint[0][1]: 1: must be text
checks.lint=[[]]
    checks.lint[0]: []: must be a list with at least one entry, each text
checks.lint=ruff
    checks.lint: "ruff": must be a list, each a list with at least one entry, each text
hyperparameters.x=[1]
    hyperparameters.x: [1]: must be true, false, a number or text
data.cutoff=soon
    data.cutoff: "soon": must be a date or a date and time, such as 2025-06-30T12:00:00Z
data.columns.km.type=float
    data.columns.km.type: "float": must be one of number, integer, text, time, boolean
local.port=70000
    local.port: 70000: must be a whole number at least 0 and at most 65535
data=3
    data: 3: must be a table: [data]
gate.limit.x=1
    gate.limit.x: gate.limit has one value and no keys below it
tolerance=1
    tolerance: unknown key; did you mean 'gate.tolerance' or 'staging.tolerance'?
gate.xyzzy=1
    gate.xyzzy: unknown key; allowed here: rule, tolerance, improvement, limit, min_rows
source=elsewhere
    source: unknown key; allowed here: model, platform, profile, environment, data, checks, train, hyperparameters, metric, gate, drift, retrain, package, staging, load, approval, rollout, retention, notify, local, sagemaker, azureml, vertex
"""
IMPOSSIBLE = """
gate.limit=61
    --set: gate.limit: 61: must lie between metric.min 0 and metric.max 60
gate.limit=60
    --set: gate.limit: 60: lets every believable mae through: it must be below metric.max
metric.min=-1
    --set: metric.min: -1: must be at least 0: mae never is
data.holdout_share=1
    --set: data.holdout_share: 1: must be a number greater than 0 and less than 1
data.target=km
    ml-pipeline.toml, --set: data: the target 'km' is also listed in 'features'
data.fetch=["a", "{output}"]
    ml-pipeline.toml, --set: data: set exactly one of 'path' and 'fetch'
data.max_age_h=3
    ml-pipeline.toml, --set: data: 'cutoff', 'bootstrap_cutoff' and 'max_age_h' need 'time_column'
data.columns.km={min=3, max=2}
    --set: data.columns.km.min: 3: must be at most 2
rollout.steps_pct=[10, 90]
    --set: rollout: 'steps_pct' must rise to 100, got [10, 90]
rollout.hold_s=3600
    --set: rollout.hold_s: 3600: must be at most rollout.step_time_limit_s, 1800
rollout.poll_s=30
    --set: rollout.poll_s: 30: must be less than rollout.lease_s, 30: it renews the lease
rollout.min_requests=100000
    --set: rollout.min_requests: 100000: must be at most 9000: replay brings no more within a step's time limit
notify.on=["promotd"]
    --set: notify.on[0]: "promotd": must be one of promoted, nothing-to-do, awaiting-approval, checks-passed, no-improvement, checks-red, rolled-back, inconclusive, error, interrupted; did you mean 'promoted'?
train.artifact=../model.pkl
    --set: train.artifact: "../model.pkl": must be a path inside {output}
train.metrics=/tmp/m.json
    --set: train.metrics: "/tmp/m.json": must be a path inside {output}
environment.python=-c
    --set: environment.python: "-c": must be a version such as 3.12
environment.groups=["--all"]
    --set: environment.groups[0]: "--all": must match [A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?
hyperparameters."a b"=1
    --set: hyperparameters."a b": a hyperparameter's name begins with a letter and has no spaces
data.path=absent.csv
    --set: data.path: "absent.csv": there is no such file in {here}
environment.requirements=["no.txt"]
    --set: environment.requirements[0]: "no.txt": there is no such file in {here}
"""


def golden(text: str) -> list[tuple[str, str]]:
    lines = [line.strip() for line in text.strip().splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "rides.csv").write_text("km,hour,minutes\n1,2,3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*sets: str, **environ: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        load(sets=sets, environ=environ)
    return refused.value


def faults(*sets: str, **environ: str) -> list[str]:
    return str(refusal(*sets, **environ)).splitlines()


def write(text: str) -> None:
    Path("ml-pipeline.toml").write_text(text, encoding="utf-8")


def replaced(old: str, new: str) -> None:
    assert old in LEAST
    write(LEAST.replace(old, new))


def test_all_faults_come_at_once(project) -> None:
    write(
        LEAST.replace("limit = 5", "limit = 61").replace("min = 0\nmax", "min = 61\nmax")
        + '[load]\nrate_per_s = "fast"\n[rollout]\nsteps_pct = [50, 10]\nhold_s = -1\n[gates]\n'
    )
    assert faults(
        "train.poll_s=0",
        "retention.kep=3",
        ML_PLATFORM="sagemaker",
        ML_PIPELINE_DATA__MIN_ROWS="1.5",
    ) == [
        "ml-pipeline.toml: gates: unknown key; did you mean 'gate'?",
        "--set: retention.kep: unknown key; did you mean 'keep'?",
        "ML_PIPELINE_DATA__MIN_ROWS: data.min_rows: 1.5: must be a whole number at least 1",
        "--set: train.poll_s: 0: must be a number greater than 0",
        "ml-pipeline.toml: metric: 'min' 61.0 is not below 'max' 60.0",
        'ml-pipeline.toml: load.rate_per_s: "fast": must be a number greater than 0',
        "ml-pipeline.toml: rollout.hold_s: -1: must be a number at least 0",
        "ml-pipeline.toml: rollout: 'steps_pct' must rise to 100, got [50, 10]",
        (
            "ml-pipeline.toml: sagemaker.role: must be set on SageMaker: the ARN of the role its jobs"
            " run as"
        ),
        "ml-pipeline.toml: sagemaker.bucket: must be set on SageMaker: jobs read and write there",
        (
            "ml-pipeline.toml: sagemaker.image: must be set on SageMaker: build one, push it to ECR,"
            " and name it by digest (docs/sagemaker.md says how)"
        ),
    ]


def test_a_fault_ends_with_the_code_of_a_configuration(project) -> None:
    error = refusal("load.rate_per_s=0")
    assert error.exit_code == ExitCode.CONFIGURATION
    assert error.remedy == (
        "Correct what is named above; `ml-pipeline config` shows every effective value."
    )


@pytest.mark.parametrize(("text", "line"), golden(WRONG))
def test_a_wrong_value_is_named_with_what_is_allowed(project, text, line) -> None:
    assert faults(text) == [f"--set: {line}"]


@pytest.mark.parametrize(("text", "line"), golden(IMPOSSIBLE))
def test_an_impossible_value_is_named_with_why(project, text, line) -> None:
    assert faults(text)[0] == line.replace("{here}", str(project))


def test_what_no_metric_can_reach_is_no_bound(project) -> None:
    assert faults("metric.name=r2") == [
        "ml-pipeline.toml: metric.max: 60: must be at most 1: r2 is never greater"
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('train.command=["python", "t.py", "{dat}"]', [
            "unknown placeholder {dat}; did you mean 'data'?",
            "must hold {data}", "must hold {output}",
        ]),
        ('data.generate=["g", "{output}"]', ["must hold {rows}"]),
        ('data.prepare=["p", "{input}"]', ["must hold {output}"]),
        ('package.export=["e", "{model}"]', ["must hold {output}"]),
        ('staging.integration_test=["t"]', ["must hold {endpoint}"]),
        ('checks.unit_test=["t", "{xyzzy}"]', [
            "unknown placeholder {xyzzy}; {junit}, {coverage} stand for something here",
        ]),
        ('checks.unit_test=[" "]', ["must begin with a program"]),
    ],
)  # fmt: skip
def test_placeholders_are_checked(project, text, lines) -> None:
    key, _, value = text.partition("=")
    assert faults(text) == [f"--set: {key}: {value}: {line}" for line in lines]


def test_each_lint_command_is_checked(project) -> None:
    assert faults('checks.lint=[["ruff"], ["mypy", "{data}"]]') == [
        '--set: checks.lint[1]: ["mypy", "{data}"]: unknown placeholder {data}; no names stand for something here'
    ]


def test_an_empty_gate_is_an_error(project) -> None:
    why = "(the first model of its name must be at least this good; an empty gate is an error)"
    line = f"ml-pipeline.toml: gate.limit: is missing: it must be a number {why}"
    replaced("limit = 5", "tolerance = 0.1")
    assert faults() == [line]
    replaced("[gate]\nlimit = 5", "")
    assert faults() == [line]


def test_of_a_missing_section_every_key_it_needs_is_named(project) -> None:
    write('model = "rides"\n')
    keys = [line.split(": ")[1] for line in faults()]
    assert keys == [
        "data.target", "data.features", "train.command", "metric.name", "metric.min",
        "metric.max", "metric.prediction_min", "metric.prediction_max", "gate.limit",
    ]  # fmt: skip


def test_a_default_left_out_for_its_fault_causes_no_second_one(project) -> None:
    write(LEAST + "[rollout]\nhold_s = 9000\n")
    assert faults("rollout.step_time_limit_s=x") == [
        '--set: rollout.step_time_limit_s: "x": must be a number greater than 0'
    ]
    replaced('path = "rides.csv"', "path = 3")
    assert faults() == ["ml-pipeline.toml: data.path: 3: must be text"]


def test_an_unknown_variable_is_named_without_its_value(project) -> None:
    assert faults(ML_PIPELINE_SLACK_WEBHOK="canary", ML_PIPELINE_X="canary") == [
        "ML_PIPELINE_SLACK_WEBHOK: unknown variable; did you mean 'ML_PIPELINE_SLACK_WEBHOOK'?",
        "ML_PIPELINE_X: unknown variable; variables are named ML_PIPELINE_SECTION__KEY",
    ]


def test_one_underscore_for_two_is_recognised(project) -> None:
    assert faults(ML_PIPELINE_GATE_LIMIT="5", ML_PIPELINE_PLATFORM="local") == [
        "ML_PIPELINE_GATE_LIMIT: unknown variable; did you mean 'ML_PIPELINE_GATE__LIMIT'?",
        "ML_PIPELINE_PLATFORM: unknown variable; did you mean 'ML_PLATFORM'?",
    ]


def test_a_variable_that_may_be_secret_is_not_shown(project) -> None:
    write(LEAST + "[environment.variables]\nTOKEN = 42\n")
    assert faults() == ["ml-pipeline.toml: environment.variables.TOKEN: (hidden): must be text"]


@pytest.mark.parametrize("text", ["load.rate_per_s", "=3", "a b=3", ""])
def test_a_set_without_a_key_is_named(project, text) -> None:
    line = "must be KEY=VALUE, with a dotted key such as load.rate_per_s"
    assert faults(text) == [f'--set: "{text}": {line}']


def test_broken_toml_is_named_with_its_line(project) -> None:
    write("model = \n")
    (line,) = faults()
    assert line.startswith("ml-pipeline.toml: is no valid TOML: Invalid value (at line 1")


def test_broken_toml_hides_no_other_fault_and_invents_none(project) -> None:
    write("model = \n")
    assert [line.split(":")[0] for line in faults("load.x=1", ML_PIPELINE_GATE__LIMIT="x")] == [
        "ml-pipeline.toml", "--set", "ML_PIPELINE_GATE__LIMIT",
    ]  # fmt: skip


def test_a_file_that_is_not_utf_8_is_named(project) -> None:
    Path("ml-pipeline.toml").write_bytes(b'model = "caf\xe9"')
    assert faults() == ["ml-pipeline.toml: is not UTF-8: byte 12 is 0xe9"]


def test_a_file_that_cannot_be_read_is_named(project) -> None:
    Path("ml-pipeline.toml").unlink()
    Path("ml-pipeline.toml").mkdir()
    assert faults() == ["ml-pipeline.toml: cannot be read: Is a directory"]


def test_two_configurations_are_one_too_many(project) -> None:
    Path("pyproject.toml").write_text('[tool.ml-pipeline]\nmodel = "x"\n', encoding="utf-8")
    assert faults() == [
        f"{project}: both [tool.ml-pipeline] in pyproject.toml and ml-pipeline.toml configure it: keep one"
    ]


def test_a_folder_without_a_configuration_points_to_init(project, tmp_path_factory) -> None:
    bare = tmp_path_factory.mktemp("bare")
    (bare / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load(bare, environ={})
    assert str(refused.value) == (
        f"{bare}: no configuration: neither [tool.ml-pipeline] in pyproject.toml nor"
        " ml-pipeline.toml"
    )
    assert refused.value.remedy == INIT


def test_below_a_project_its_folder_is_named(project, monkeypatch) -> None:
    (project / "src").mkdir()
    monkeypatch.chdir(project / "src")
    assert faults()[0].endswith(f"; there is one in {project}")


def test_a_folder_that_is_none_is_named(project) -> None:
    for name, what in (("absent", "there is no such folder"),
                       ("rides.csv", "is a file, not a project's folder")):  # fmt: skip
        with pytest.raises(ConfigurationError) as refused:
            load(Path(name), environ={})
        assert str(refused.value) == f"{name}: {what}"


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('source = "../x"', 'source: "../x": must be a folder inside this one'),
        ('source = "/tmp"', 'source: "/tmp": must be a folder inside this one'),
        ('source = "."', 'source: ".": must be a folder inside this one'),
        ('source = "absent"', 'source: "absent": there is no such folder'),
        ("source = 3", "source: 3: must be text: a folder inside this one"),
        ('source = "in"\nmodel = "x"', "source: stands alone: it redirects to another folder, so remove model"),
    ],
)  # fmt: skip
def test_a_redirection_goes_inside_and_stands_alone(project, table, line) -> None:
    Path("in").mkdir()
    write(table)
    assert faults() == [f"ml-pipeline.toml: {line}"]


def test_a_link_out_of_the_folder_is_no_way_inside(project, tmp_path_factory) -> None:
    (project / "link").symlink_to(tmp_path_factory.mktemp("outside"))
    write('source = "link"')
    assert faults() == ['ml-pipeline.toml: source: "link": must be a folder inside this one']


def test_a_redirection_is_not_redirected_again(project) -> None:
    (project / "in" / "deeper").mkdir(parents=True)
    write('source = "in"')
    (project / "in" / "ml-pipeline.toml").write_text('source = "deeper"', encoding="utf-8")
    (line,) = faults()
    assert line.startswith("in/ml-pipeline.toml: source: redirects a second time")


def test_pyproject_without_a_table_for_us_is_named(project) -> None:
    Path("ml-pipeline.toml").unlink()
    Path("pyproject.toml").write_text("[tool]\nml-pipeline = 3\n", encoding="utf-8")
    assert faults() == ["pyproject.toml: tool.ml-pipeline: must be a table: [tool.ml-pipeline]"]


def test_what_needs_no_files_loads_without_them(project) -> None:
    Path("rides.csv").unlink()
    assert load(environ={}, files_exist=False).data.path == "rides.csv"


def test_rows_that_are_not_there_are_said_to_come_into_a_container_by_an_option(
    project: Path,
) -> None:
    """A container gets no file that `.gitignore` names, and its user sees the file on the disk."""
    with pytest.raises(ConfigurationError, match="there is no such file") as refused:
        load(project, sets=["data.path=absent.csv"], environ={})
    assert "`--data`" in refused.value.remedy
