"""Bad input and broken trainings through the command line: one sentence, one code."""

import pytest

from tests.fakes.toy_project import FILES, Toy, configured, toy

pytestmark = [pytest.mark.e2e]

ROWS = 'fetch = ["python", "rows.py", "{output}", "4000"]'


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Toy:
    """One project, so that its environment is made once; every test sets what it breaks."""
    return toy(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize(
    ("sets", "code", "told"),
    [
        (["metrik.name=mae"], 4, "metrik"),
        (["load.rate_per_s=fast"], 4, "load.rate_per_s"),
        (["rollout.steps_pct=[50, 10, 100]"], 4, "must rise to 100"),
        (["gate.limit=2000"], 4, "gate.limit"),
        (["data.target=price"], 5, "price"),
        (["data.features=['x1', 'x9']"], 5, "x9"),
        (["train.smoke_hyperparameters.do=exit1"], 3, "does not feel like it"),
        (["train.smoke_hyperparameters.do=nans"], 3, "not finite"),
        (["train.smoke_hyperparameters.do=silent"], 3, "metrics.json"),
        (["train.smoke_hyperparameters.do=huge"], 3, "1000000000"),
        (["train.smoke_hyperparameters.do=pickle"], 5, "does not load"),
        (["train.artifact=model.pkl"], 3, "model.pkl"),
        (["train.smoke_hyperparameters.do=hang", "train.smoke_time_limit_s=3"], 8, "3"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_fault_is_named_and_ends_with_its_code(project, sets, code, told) -> None:
    words = [word for one in sets for word in ("--set", one)]
    ended = project.run("ci", *words)
    assert ended.code == code, ended.output
    assert told in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("sets", "code", "told"),
    [
        (["hyperparameters.do=exit1"], 5, "does not feel like it"),
        (["hyperparameters.do=silent"], 5, "metrics.json"),
        (["hyperparameters.do=nans"], 5, "not finite"),
        (["hyperparameters.do=hang", "train.time_limit_s=2"], 8, "train.time_limit_s"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_training_that_breaks_only_at_full_size_ends_with_its_code(
    project, sets, code, told
) -> None:
    words = [word for one in sets for word in ("--set", one)]
    ended = project.run(
        "full-pipeline", "--force", "--set", "train.smoke_hyperparameters.do=no", *words
    )
    assert ended.code == code, ended.output
    assert told in ended.output


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("at,id,x1,x2,y\n", "no rows"),
        ("at,id,x1,x2,y\n2026-01-01,1,1,1,\n2026-01-02,2,1,1,3\n", "y"),
        ("at,id,x1,x2\n2026-01-01,1,1,1\n", "y"),
        ("at,id,x1,x2,y\nyesterday,1,1,1,2\n2026-01-02,2,1,1,3\n", "yesterday"),
        ("", "is empty"),
    ],
    ids=["zero rows", "a missing target", "no target column", "a time that is none", "empty"],
)
def test_rows_that_cannot_be_used_are_named_with_5(project, rows, told) -> None:
    (project.folder / "broken.csv").write_text(rows)
    ended = project.run("run", "fetch-data", "--set", f"data.fetch={copying(project)}")
    assert ended.code == 5, ended.output
    assert told in ended.output


def copying(project: Toy) -> str:
    words = ["python", "-c", "import shutil,sys; shutil.copy(*sys.argv[1:])"]
    return str([*words, str(project.folder / "broken.csv"), "{output}"]).replace("'", '"')


def test_hold_out_rows_seen_in_training_are_left_out_and_too_few_left_is_inconclusive(
    tmp_path,
) -> None:
    twice = FILES["rows.py"].replace("n % 24:02d}", "0:02d}").replace("dice.uniform(0, 10)", "1.0")
    same = twice.replace("dice.gauss(0, 1)", "0").replace("{n},{x1", "{n % 5},{x1")
    project = toy(tmp_path, {**configured((ROWS, ROWS)), "rows.py": same})
    ended = project.run("full-pipeline", "--set", "data.key_columns=['id']")
    assert ended.code == 10, ended.output
    assert "seen in training" in ended.output


def test_usage_errors_end_with_4_not_with_2(project) -> None:
    assert project.run("full-pipeline", "--no-such-option").code == 4
    assert project.run("run", "trian").code == 4
    assert project.run("resume", "no-such-run").code == 4
    assert project.run("full-pipeline", "--chaos", "explode=1").code == 4


def test_a_secret_in_the_environment_is_in_nothing_that_was_written(project) -> None:
    canary = "canary-7f3a9c"
    webhook = f"http://127.0.0.1:9/services/{canary}"
    ended = project.run("ci", ML_PIPELINE_SLACK_WEBHOOK=webhook, AWS_SECRET_ACCESS_KEY=canary)
    assert ended.code == 0, ended.output
    assert canary not in ended.output
    for path in [*project.runs.rglob("*"), *project.state.rglob("*.json")]:
        if path.is_file():
            assert canary.encode() not in path.read_bytes(), path
