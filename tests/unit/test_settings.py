"""Where values come from, which wins, and what the frozen settings say about themselves."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings import Given, Platform, ProfileName, Secrets, Settings, explain, load
from ml_pipeline.settings.faults import dotted
from ml_pipeline.settings.given import parse, split_set, variable
from ml_pipeline.settings.keys import leaves

LEAST = """
model = "rides"

[data]
path = "rides.csv"
target = "minutes"
features = ["km", "hour"]

[train]
command = ["python", "train.py", "--data", "{data}", "--out", "{output}"]

[metric]
name = "mae"
min = 0
max = 60
prediction_min = 0
prediction_max = 180

[gate]
limit = 5
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "rides.csv").write_text("km,hour,minutes\n1,2,3\n", encoding="utf-8")
    return tmp_path


def loaded(project: Path, *sets: str, **environ: str) -> Settings:
    return load(project, sets=sets, environ=environ)


def origin(settings: Settings, key: str) -> str:
    return {row[0]: row[2] for row in explain(settings)}[key]


def test_a_least_configuration_is_enough(project) -> None:
    settings = loaded(project)
    assert settings.source == project
    assert settings.file == project / "ml-pipeline.toml"
    assert settings.gate.tolerance == 0.05
    assert settings.load.rate_per_s == 50
    assert settings.retention.keep == 3
    assert settings.platform is Platform.LOCAL


def test_the_same_tables_may_stand_in_pyproject(project) -> None:
    (project / "ml-pipeline.toml").unlink()
    text = "[tool.ml-pipeline]" + LEAST.replace("\n[", "\n[tool.ml-pipeline.")
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    assert loaded(project).data.features == ("km", "hour")
    assert loaded(project).file == project / "pyproject.toml"


def test_option_beats_set_beats_environment_beats_file_beats_profile_beats_default(project) -> None:
    file = project / "ml-pipeline.toml"
    key = "rollout.min_requests"
    environ = {"ML_PIPELINE_ROLLOUT__MIN_REQUESTS": "30"}
    option = [Given(("rollout", "min_requests"), 50, "--min-requests")]

    production = loaded(project, "profile=production")
    assert (production.rollout.hold_s, origin(production, "rollout.hold_s")) == (600, "default")
    test = loaded(project, "profile=test")
    assert (test.rollout.min_requests, origin(test, key)) == (60, "profile test")
    file.write_text(LEAST + "[rollout]\nmin_requests = 20\n", encoding="utf-8")
    assert origin(loaded(project), key) == str(file)
    assert loaded(project).rollout.min_requests == 20
    by_environment = load(project, environ=environ)
    assert by_environment.rollout.min_requests == 30
    assert origin(by_environment, key) == "ML_PIPELINE_ROLLOUT__MIN_REQUESTS"
    by_set = load(project, environ=environ, sets=[f"{key}=35", f"{key}=40"])
    assert (by_set.rollout.min_requests, origin(by_set, key)) == (40, "--set")
    by_option = load(project, environ=environ, sets=[f"{key}=40"], overrides=option)
    assert (by_option.rollout.min_requests, origin(by_option, key)) == (50, "--min-requests")


def test_tables_merge_key_by_key(project) -> None:
    file = project / "ml-pipeline.toml"
    file.write_text(LEAST + "[hyperparameters]\nmax_depth = 4\nrate = 0.1\n", encoding="utf-8")
    settings = loaded(
        project, "hyperparameters.max_depth=1", ML_PIPELINE_HYPERPARAMETERS__N_TREES="20"
    )
    assert settings.hyperparameters == {"max_depth": 1, "rate": 0.1, "n_trees": 20}


def test_a_name_the_project_chose_keeps_its_small_letters_in_a_variable(project) -> None:
    settings = loaded(
        project,
        ML_PIPELINE_HYPERPARAMETERS__maxDepth="3",
        ML_PIPELINE_ENVIRONMENT__VARIABLES__OMP_NUM_THREADS="2",
    )
    assert settings.hyperparameters == {"maxDepth": 3}
    assert settings.environment.variables == {"OMP_NUM_THREADS": "2"}


def test_an_empty_variable_is_not_set(project) -> None:
    settings = loaded(project, ML_PLATFORM="", ML_PIPELINE_GATE__LIMIT=" ")
    assert settings.platform is Platform.LOCAL
    assert settings.gate.limit == 5


def test_variables_of_others_and_secrets_are_no_settings(project) -> None:
    environ = {
        "HOME": "/root",
        "ML_PIPELINE_SLACK_WEBHOOK": "https://hooks.example/x",
        "ML_PIPELINE_PROCESS": "1",
    }
    settings = load(project, environ=environ)
    assert "hooks.example" not in repr(settings) + repr(explain(settings))


def test_the_metrics_that_get_better_downwards_are_those_of_the_domain() -> None:
    from ml_pipeline.domain.metrics import DIRECTIONS
    from ml_pipeline.domain.policies.gate import Direction, MetricName
    from ml_pipeline.settings.consistency import LOWER_IS_BETTER, NATURAL_RANGE

    assert {name for name in MetricName if DIRECTIONS[name] is Direction.LOWER} == LOWER_IS_BETTER
    assert set(NATURAL_RANGE) == set(MetricName)


def test_the_mark_on_our_own_children_is_no_setting() -> None:
    from ml_pipeline.adapters.local.processes import MARKER
    from ml_pipeline.settings.given import NO_SETTINGS

    assert MARKER in NO_SETTINGS


def test_on_the_platform_local_the_profile_is_laptop(project) -> None:
    settings = loaded(project)
    assert settings.profile is ProfileName.LAPTOP
    assert settings.rollout.hold_s == 0
    assert settings.rollout.replay_rate_per_s == 200
    assert settings.clock_scale == 1


def test_the_profile_test_scales_the_clock(project) -> None:
    settings = loaded(project, "profile=test")
    assert settings.clock_scale == 20
    assert settings.load.duration_s == 3


def test_a_date_is_a_time_at_midnight(project) -> None:
    settings = loaded(project, "data.time_column=at", "data.cutoff=2025-06-30")
    assert settings.data.cutoff == datetime(2025, 6, 30)  # noqa: DTZ001
    settings = loaded(project, "data.time_column=at", "data.cutoff=2025-06-30T00:00:00Z")
    assert settings.data.cutoff == datetime(2025, 6, 30, tzinfo=UTC)


def test_a_version_of_python_stays_text(project) -> None:
    assert loaded(project, "environment.python=3.10").environment.python == "3.10"


def test_a_repository_may_redirect_to_a_folder_in_it(project, tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "examples").mkdir()
    project.rename(root / "examples" / "rides")
    text = '[tool.ml-pipeline]\nsource = "examples/rides"\n'
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    assert loaded(root).source == root / "examples" / "rides"


def test_settings_cannot_be_changed(project) -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded(project).model = "other"


def test_the_digest_changes_with_what_matters_to_a_verdict_only(project) -> None:
    digest = loaded(project).digest()
    assert digest == loaded(project, "local.port=8080", "notify.on=[]", "retention.keep=9").digest()
    assert digest == loaded(project, "load.rate_per_s=50").digest()
    assert digest != loaded(project, "hyperparameters.max_depth=1").digest()
    assert digest != loaded(project, "gate.limit=4").digest()
    assert digest != loaded(project, "load.max_p99_ms=400").digest()


def test_explain_names_every_key_with_a_value_and_an_origin(project) -> None:
    rows = {key: (value, where) for key, value, where in explain(loaded(project))}
    fixed = {dotted(path) for path, _ in leaves() if "<name>" not in path}
    assert fixed <= set(rows)
    assert rows["data.target"] == ('"minutes"', str(project / "ml-pipeline.toml"))
    assert rows["data.fetch"] == ("(not set)", "default")
    assert rows["rollout.hold_s"] == ("0.0", "profile laptop")


def test_explain_hides_what_may_be_a_secret(project) -> None:
    settings = loaded(
        project,
        "environment.variables.TOKEN=canary-1",
        'checks.lint=[["curl", "https://me:canary-2@host/x"]]',
    )
    assert "canary" not in repr(explain(settings))


def test_secrets_come_from_the_environment_and_do_not_show() -> None:
    secrets = Secrets.read({"ML_PIPELINE_SLACK_WEBHOOK": "https://hooks.example/canary"})
    assert "canary" not in repr(secrets)
    assert list(secrets.plain()) == ["https://hooks.example/canary"]
    assert list(Secrets.read({"ML_PIPELINE_SLACK_WEBHOOK": ""}).plain()) == []


@pytest.mark.parametrize("webhook", ["canary", "http://evil.example/canary", "https://[canary"])
def test_a_webhook_that_is_no_web_address_is_refused_unseen(webhook) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Secrets.read({"ML_PIPELINE_SLACK_WEBHOOK": webhook})
    assert str(refused.value) == (
        "ML_PIPELINE_SLACK_WEBHOOK: must be an https:// address (http:// only on this machine)"
    )


# --- the language of --set and of variables

_names = st.text(min_size=1, max_size=12)
_plain = st.text(st.characters(exclude_categories=["C"]), max_size=20).map(str.strip)
_numbers = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)


@given(path=st.lists(_names, min_size=1, max_size=4), value=_plain)
def test_any_dotted_key_and_any_text_come_through(path, value) -> None:
    assert split_set(f"{dotted(path)} = {value}") == (tuple(path), value)


@given(value=_numbers | st.booleans())
def test_a_hyperparameter_keeps_its_type(value) -> None:
    read = parse(("hyperparameters", "x"), str(value).lower())
    assert read == value
    assert type(read) is type(value)


@given(text=_plain.filter(lambda text: not text.startswith(('"', "'"))))
def test_where_only_text_is_allowed_it_is_taken_as_it_stands(text) -> None:
    assert parse(("environment", "python"), text) == text


@given(text=_plain)
def test_quoted_text_is_read_as_toml(text) -> None:
    quoted = dotted((text + " ",))
    assert parse(("environment", "python"), quoted) == text + " "
    assert parse(("hyperparameters", "x"), quoted) == text + " "


@given(text=st.text(max_size=30))
def test_no_text_breaks_the_parser(text) -> None:
    split_set(text)
    parse(("hyperparameters", "x"), text)


def test_every_key_has_one_variable_of_its_own() -> None:
    names = [variable(path) for path, _ in leaves()]
    assert len(names) == len(set(names))
