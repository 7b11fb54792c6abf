"""What each function asks of an engine, read back from a session that records it."""

from typing import Any

import pytest
import typer

from ml_pipeline.cli.app import app
from ml_pipeline.pipeline import STAGES
from tests.fakes.recording_session import PROJECT, Recipe, Session, call, given, parent

PURE_ALONE = ("lint", "unit_test")
PURE_ON_DATA = ("validate_data", "smoke_train")
#: Beside the stages: the function, its arguments, and what its containers run of the pipeline.
WHOLE: dict[str, tuple[dict[str, Any], list[list[str]]]] = {
    "full_pipeline": ({}, [["full-pipeline"]]),
    "run": ({}, [["full-pipeline"], ["evidence", "export"]]),
    "ci": ({}, [["ci"]]),
    "resume": ({"run": "a", "approve": True}, [["resume", "--approve"]]),
    "abort": ({}, [["abort"]]),
    "rollback": ({"reason": "it is slow"}, [["rollback", "--reason", "it is slow"]]),
    "evidence": ({}, [["evidence", "export"]]),
    "state": ({}, [["platform", "export", "/out"]]),
    "build_image": ({}, [["prepare"]]),
    "publish_image": ({"address": "registry/model:1"}, [["prepare"]]),
}


def _recipe(session: Session) -> Recipe:
    """Of the container a call ended with."""
    assert session.error is None, session.error
    return max(session.containers(), key=lambda one: len(one.steps))


def _starts(commands: list[list[str]], wanted: list[list[str]]) -> bool:
    return [argv[: len(want)] for argv, want in zip(commands, wanted, strict=True)] == wanted


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Any:
    def called(function: str, *, again: bool = False, **more: Any) -> Session:
        if more or again:
            return call(function, monkeypatch, **more)
        if function not in _plainly:
            _plainly[function] = call(function, monkeypatch)
        return _plainly[function]

    return called


#: Calls without arguments, each made once: a call takes most of a second.
_plainly: dict[str, Session] = {}


@pytest.mark.parametrize("stage", [one.id for one in STAGES])
def test_a_stage_runs_the_pipelines_own_command_and_nothing_else(called: Any, stage: str) -> None:
    name = stage.replace("-", "_")
    recipe = _recipe(called(name))
    wanted = [["run", stage]]
    if name in PURE_ON_DATA:
        wanted = [["run", "fetch-data"], *wanted]
    assert _starts(recipe.commands(), wanted)
    _understood(recipe)


@pytest.mark.parametrize("function", sorted(WHOLE))
def test_other_functions_run_the_pipelines_own_command(called: Any, function: str) -> None:
    arguments, wanted = WHOLE[function]
    session = called(function, **({"arguments": arguments} if arguments else {}))
    recipes = [one for one in session.containers() if one.commands()]
    recipe = max(recipes, key=lambda one: len(one.steps)) if recipes else _returned(session)
    assert _starts(recipe.commands(), wanted)
    _understood(recipe)


def _returned(session: Session) -> Recipe:
    from tests.fakes.recording_session import decode

    assert session.error is None, session.error
    found = decode(session.returned)
    assert isinstance(found, Recipe)
    return found


def test_the_platform_is_served_to_the_outside_on_the_asked_port(called: Any) -> None:
    service = _returned(called("serve", arguments={"port": 9000}))
    assert service.all("withExposedPort") == [{"port": 9000}]
    argv = service.all("asService")[0]["args"]
    assert argv[1:3] == ["platform", "serve"]
    assert argv[argv.index("--port") + 1] == "9000"
    _parsed(argv[1:])


def _understood(recipe: Recipe) -> None:
    for argv in recipe.commands():
        _parsed(argv)


def _parsed(argv: list[str]) -> None:
    """Parse a command line as the real command does; a usage error fails the test."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("ml-pipeline", list(argv), resilient_parsing=False)
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(
            context, [*getattr(context, "_protected_args", []), *context.args]
        )
        context = command.make_context(command.name, list(rest), parent=context)


@pytest.mark.parametrize("function", PURE_ALONE)
def test_a_pure_stage_holds_nothing_that_changes_by_itself(called: Any, function: str) -> None:
    """So that the engine answers from its cache as long as content is the same."""
    secrets = parent(aws_access_key_id=given("aws", "secret"), slack_webhook=given("s", "secret"))
    first = _recipe(called(function, parent=secrets))
    second = _recipe(called(function, parent=secrets))
    assert first == second
    assert "MLP_CALL" not in first.environment()
    assert first.secrets() == {}
    assert set(first.volumes()) == {"/var/cache/uv", "/state/envs", "/state/cache"}


def test_two_calls_are_two_executions(called: Any) -> None:
    """So that a load test asked for twice measures twice."""
    first, second = _recipe(called("load_test")), _recipe(called("load_test", again=True))
    assert first.environment()["MLP_CALL"] != second.environment()["MLP_CALL"]


NOT_CACHED = [one.id.replace("-", "_") for one in STAGES] + list(WHOLE)


@pytest.mark.parametrize("function", sorted({*NOT_CACHED} - {*PURE_ALONE, "build_image"}))
def test_whatever_is_not_pure_runs_after_a_nonce_and_installs_before_it(
    called: Any, function: str
) -> None:
    if function == "publish_image":
        return  # what it pushes is pure; that it pushes each time, the registration says
    recipe = _recipe(
        called(function, **({"arguments": {"run": "a"}} if function == "resume" else {}))
    )
    nonce = next(i for i, one in enumerate(recipe.steps) if one[1].get("name") == "MLP_CALL")
    execs = {
        i: args["args"][0] for i, (name, args) in enumerate(recipe.steps) if name == "withExec"
    }
    ours = {i for i, program in execs.items() if program.endswith("/ml-pipeline")}
    assert ours
    assert {i for i in execs if i > nonce} == ours


@pytest.mark.parametrize("stage", [one for one in STAGES if one.extra == "local"])
def test_a_stage_of_the_platform_mounts_its_state_outside_in(called: Any, stage: Any) -> None:
    recipe = _recipe(called(stage.id.replace("-", "_")))
    mounts = [(one["path"], one["cache"].all("cacheVolume")[0]["key"])
              for one in recipe.all("withMountedCache")]  # fmt: skip
    assert mounts == [
        ("/var/cache/uv", "ml-pipeline-uv"),
        ("/state", "ml-pipeline-delivery-state"),
        ("/runs", "ml-pipeline-delivery-runs"),
        ("/var/cache/uv", "ml-pipeline-delivery-uv"),
        ("/state/envs", "ml-pipeline-delivery-envs"),
        ("/state/cache", "ml-pipeline-delivery-cache"),
    ]


def test_volumes_are_shared_so_that_a_second_call_sees_who_holds_them(called: Any) -> None:
    """By its default; a private one would hand a concurrent call an empty state."""
    for function in ("train", "ci", "lint", "evidence"):
        mounts = _recipe(called(function)).all("withMountedCache")
        assert [one.get("sharing") for one in mounts] == [None] * len(mounts)


@pytest.mark.parametrize("function", ["ci", *PURE_ALONE, *PURE_ON_DATA])
def test_what_a_check_leaves_is_not_found_where_a_model_is_released(
    called: Any, function: str
) -> None:
    """Nobody has reviewed the code of a pull request, and it writes wherever it runs."""
    theirs = set(_recipe(called(function)).volumes().values())
    released = set(_recipe(called("full_pipeline")).volumes().values())
    assert theirs
    assert not theirs & released
    assert "/state" not in _recipe(called(function)).volumes()


def test_a_check_of_a_run_works_on_that_runs_evidence(called: Any) -> None:
    recipe = _recipe(called("smoke_train", arguments={"run": "mine"}))
    assert recipe.volumes()["/runs"] == "ml-pipeline-delivery-runs"


@pytest.mark.parametrize(("code", "second"), [(0, "runs"), (4, "runs-checks"), (7, "runs")])
def test_evidence_of_a_check_is_found_where_no_other_run_is_called_so(
    called: Any, code: int, second: str
) -> None:
    def ends(argv: list[str]) -> tuple[int, str]:
        return (code, "") if "evidence" in argv else (0, "")

    session = called("evidence", arguments={"run": "mine"}, ends=ends)
    assert (session.error is None) == (code == 0)
    exports = [one for one, _ in session.asked if one.commands()]
    looked = [one.volumes()["/runs"].removeprefix("ml-pipeline-delivery-") for one in exports]
    assert looked[:2] == ["runs", second]


@pytest.mark.parametrize(("there", "goes_on"), [(0, None), (4, "ANY")])
def test_a_run_as_an_object_is_never_an_earlier_one_of_the_same_id(
    called: Any, there: int, goes_on: str | None
) -> None:
    def ends(argv: list[str]) -> tuple[int, str]:
        return (there, "") if "evidence" in argv else (0, "")

    session = called("run", arguments={"run_id": "mine"}, ends=ends)
    pipelines = [one for recipe, _ in session.asked for one in recipe.all("withExec")
                 if "full-pipeline" in one["args"]]  # fmt: skip
    assert pipelines[-1].get("expect") == goes_on
    assert pipelines[-1]["args"][2:4] == ["--run-id", "mine"]


@pytest.mark.parametrize(
    ("files", "volume"),
    [
        (PROJECT, "delivery"),
        ({"ml-pipeline.toml": 'model = "other"'}, "other"),
        (
            {
                "pyproject.toml": '[tool.ml-pipeline]\nsource = "inner"',
                "inner/ml-pipeline.toml": 'model = "inside"',
            },
            "inside",
        ),
        ({"pyproject.toml": "no [ toml"}, "unconfigured"),
        ({"pyproject.toml": '[tool.ml-pipeline]\nmodel = "../x"'}, "unconfigured"),
        ({"README.md": ""}, "unconfigured"),
        ({"pyproject.toml": "tool = 3"}, "unconfigured"),
        ({"pyproject.toml": "[tool]\nml-pipeline = 3"}, "unconfigured"),
        ({"pyproject.toml": f"a = {'[' * 3000}"}, "unconfigured"),
        ({"ml-pipeline.toml": 'model = "delivery\\n"'}, "unconfigured"),
        ({"ml-pipeline.toml": "model = 7"}, "unconfigured"),
        ({"ml-pipeline.toml": 'model = "m"\nplatform = []'}, "m"),
    ],
)
def test_a_project_has_volumes_of_its_own(called: Any, files: Any, volume: str) -> None:
    recipe = _recipe(called("train", files=files))
    assert recipe.volumes()["/state"] == f"ml-pipeline-{volume}-state"


@pytest.mark.parametrize("function", ["lint", "train", "serve"])
def test_a_command_works_in_a_folder_named_as_the_project(called: Any, function: str) -> None:
    """Evidence and messages call a project by its folder's name, and `src` is everybody's."""
    session = called(function)
    recipe = _returned(session) if function == "serve" else _recipe(session)
    assert recipe.all("withWorkdir")[-1]["path"] == "/src/delivery"
    argv = [*recipe.execs(), *(one["args"] for one in recipe.all("asService"))][-1]
    assert argv[argv.index("--source") + 1] == "."


def test_an_edit_to_the_project_installs_nothing_again(called: Any) -> None:
    """Whatever stands before the last installation does not depend on the project."""
    recipe = _recipe(called("load_test", parent=parent(source=given("edited"))))
    installs = [i for i, (name, args) in enumerate(recipe.steps)
                if name == "withExec" and "/opt/install.py" in args["args"]]  # fmt: skip
    assert len(installs) == 5
    assert "edited" not in str(recipe.steps[: installs[-1] + 1])
    assert "edited" in str(recipe.steps[installs[-1] + 1 :])


def test_an_edit_to_the_pipeline_installs_no_dependency_again(called: Any) -> None:
    recipe = _recipe(called("load_test"))
    names = [args.get("path") if name != "withExec" else "exec" for name, args in recipe.steps]
    dependencies = next(i for i, (name, args) in enumerate(recipe.steps)
                        if name == "withExec" and "pyproject.toml" in args["args"])  # fmt: skip
    assert "src" not in names[:dependencies]
    assert "src" in names[dependencies:]


def test_a_container_holds_the_sdk_of_its_platform_only(called: Any) -> None:
    def extras(function: str, **more: Any) -> list[str]:
        argv = next(one for one in _recipe(called(function, **more)).execs() if "--extra" in one)
        return [argv[i + 1] for i, word in enumerate(argv) if word == "--extra"]

    assert extras("lint") == ["core"]
    assert extras("smoke_train") == ["core", "models"]
    assert extras("train") == ["core", "models", "local"]
    assert extras("train", parent=parent(platform="vertex")) == ["core", "models", "vertex"]
    chosen = {"ml-pipeline.toml": 'model = "m"\nplatform = "vertex"'}
    assert extras("train", files=chosen) == ["core", "models", "vertex"]
    assert extras("train", parent=parent(platform="mars")) == ["core", "models"]


def test_the_base_image_is_named_once_and_can_be_another(called: Any) -> None:
    from ml_pipeline.containers import image

    assert image.BASE_IMAGE.startswith("python:")
    other = parent(base_image="registry.example/python:3.12")
    assert _recipe(called("lint", parent=other)).base() == "registry.example/python:3.12"


def test_a_compiler_is_seen_to_before_what_may_need_one_and_not_for_the_core(called: Any) -> None:
    def position(function: str, word: str) -> int:
        execs = _recipe(called(function)).execs()
        return next((i for i, argv in enumerate(execs) if word in argv), -1)

    assert 0 < position("train", "--compiler") < position("train", "pyproject.toml")
    assert position("lint", "--compiler") == -1


def test_platform_profile_settings_and_data_reach_the_pipeline(called: Any) -> None:
    chosen = parent(
        platform="local", profile="test", settings=["load.rate_per_s=80", "a=b; rm -rf /"],
        data=given("rows"),
    )  # fmt: skip
    recipe = _recipe(called("load_test", parent=chosen))
    assert recipe.environment()["ML_PLATFORM"] == "local"
    assert recipe.environment()["ML_PIPELINE_PROFILE"] == "test"
    argv = recipe.commands()[-1]
    assert argv[-4:] == ["--set", "load.rate_per_s=80", "--set", "a=b; rm -rf /"]
    project = next(
        one["source"] for one in recipe.all("withDirectory") if one["path"] == "/src/delivery"
    )
    assert project.all("filter")[0]["gitignore"] is True
    (rows,) = [one["source"] for one in project.all("withDirectory")]
    assert rows.steps[0][1]["name"] == "rows"
    assert {"**/.venv", "**/runs", "**/.git"} <= set(rows.all("filter")[0]["exclude"])


def test_nothing_is_handed_to_a_shell(called: Any) -> None:
    for function in ("load_test", "full_pipeline"):
        for argv in _recipe(called(function)).execs():
            assert argv[0] not in {"sh", "bash", "/bin/sh"}
            assert "-c" not in argv


def test_secrets_are_variables_or_files_and_never_words(called: Any) -> None:
    from ml_pipeline.containers.bench import SECRETS

    holds = parent(**{name: given(name, "secret") for name in SECRETS})
    recipe = _recipe(called("train", parent=holds))
    files = {"/run/secrets/google.json"}
    assert (
        set(recipe.secrets()) == set(SECRETS.values()) - {"GOOGLE_APPLICATION_CREDENTIALS"} | files
    )
    assert recipe.environment()["GOOGLE_APPLICATION_CREDENTIALS"] in files


def test_a_package_index_is_a_secret_for_uv_and_pip(called: Any) -> None:
    recipe = _recipe(called("lint", parent=parent(package_index=given("index", "secret"))))
    assert set(recipe.secrets()) == {"UV_DEFAULT_INDEX", "PIP_INDEX_URL"}
    by_uv = [argv for argv in recipe.execs() if "uv" in argv and "--python" in argv]
    assert len(by_uv) == 2
    assert all("--no-config" in argv for argv in by_uv), "it may not say when files came"
    assert not any("--no-config" in argv for argv in _recipe(called("lint")).execs())
    assert recipe.environment()["UV_SYSTEM_CERTS"] == "1"
    assert recipe.environment()["UV_NATIVE_TLS"] == "1"


def test_a_list_that_daggers_command_line_took_apart_is_whole_again(called: Any) -> None:
    pieces = ["rollout.steps_pct=[10", "25", "100]", "load.rate_per_s=80"]
    argv = _recipe(called("train", parent=parent(settings=pieces))).commands()[-1]
    sets = [argv[i + 1] for i, word in enumerate(argv) if word == "--set"]
    assert sets == ["rollout.steps_pct=[10,25,100]", "load.rate_per_s=80"]


def test_the_commit_reaches_evidence_and_no_cached_step(called: Any) -> None:
    known = parent(commit="0" * 40)
    assert _recipe(called("train", parent=known)).environment()["MLP_COMMIT"] == "0" * 40
    assert "MLP_COMMIT" not in _recipe(called("lint", parent=known)).environment()
    assert "MLP_COMMIT" not in _recipe(called("train")).environment()


def test_what_the_constructor_was_given_reaches_the_functions(called: Any) -> None:
    """The engine hands each function what the constructor made; `state` has another name there."""
    given_to_it = {
        "source": given("source"), "state": given("state"), "base_image": "python:3.12",
        "aws_access_key_id": given("key", "secret"), "settings": ["load.rate_per_s=80"],
        "commit": "abcdef0",
    }  # fmt: skip
    made = called("", parent={}, arguments=given_to_it, constructs=True)
    assert made.error is None
    recipe = _recipe(called("train", parent=made.returned))
    assert recipe.base() == "python:3.12"
    assert set(recipe.secrets()) == {"AWS_ACCESS_KEY_ID"}
    assert recipe.all("withMountedDirectory")[0]["path"] == "/given/state"
    assert recipe.commands()[-1][-2:] == ["--set", "load.rate_per_s=80"]
    assert recipe.environment()["MLP_COMMIT"] == "abcdef0"


def test_evidence_passed_in_is_what_the_stage_works_on(called: Any) -> None:
    session = called("load_test", arguments={"evidence": given("evidence")})
    recipe = _recipe(session)
    assert recipe.all("withMountedDirectory")[0]["path"] == "/given/evidence"
    argv = recipe.commands()[-1]
    assert argv[argv.index("--evidence") + 1] == "/given/evidence"


def test_data_is_not_fetched_again_for_a_run_that_has_it(called: Any) -> None:
    recipe = _recipe(called("validate_data", arguments={"run": "a-run"}))
    assert _starts(recipe.commands(), [["run", "validate-data", "--run", "a-run"]])


def test_given_state_is_laid_in_before_anything_runs(called: Any) -> None:
    recipe = _recipe(called("full_pipeline", parent=parent(given_state=given("state"))))
    assert _starts(recipe.commands(), [["platform", "import", "/given/state"], ["full-pipeline"]])
    _understood(recipe)


def test_only_a_run_as_an_object_goes_on_after_a_bad_end(called: Any) -> None:
    lenient = {}
    for function in ("run", "full_pipeline", "load_test", "ci"):
        execs = _recipe(called(function)).all("withExec")
        lenient[function] = [one["args"][1] for one in execs if one.get("expect") == "ANY"]
    assert lenient == {
        "run": ["full-pipeline"],
        "full_pipeline": [],
        "load_test": [],
        "ci": [],
    }


def test_options_of_a_function_become_those_of_the_command(called: Any) -> None:
    asked = {
        "force": True, "force_promote": True, "reason": "it drifted", "chaos": "errors=0.2",
        "cutoff_date": "2026-01-26", "run_id": "mine", "trigger": "schedule", "wait": True,
    }  # fmt: skip
    recipe = _recipe(called("full_pipeline", arguments=asked))
    assert recipe.commands()[-1][:13] == [
        "full-pipeline", "--force", "--force-promote", "--reason", "it drifted",
        "--chaos", "errors=0.2", "--cutoff-date", "2026-01-26", "--run-id", "mine",
        "--trigger", "schedule",
    ]  # fmt: skip
    _understood(recipe)
