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
    "resume": ({"run": "a", "approve": True}, [["resume", "a", "--approve"]]),
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
    assert list(recipe.volumes().items()) == [
        ("/var/cache/uv", "ml-pipeline-uv"),
        ("/state", "ml-pipeline-delivery-state"),
        ("/runs", "ml-pipeline-delivery-runs"),
        ("/state/envs", "ml-pipeline-delivery-envs"),
        ("/state/cache", "ml-pipeline-delivery-cache"),
    ]


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
    ],
)
def test_a_project_has_volumes_of_its_own(called: Any, files: Any, volume: str) -> None:
    recipe = _recipe(called("train", files=files))
    assert recipe.volumes()["/state"] == f"ml-pipeline-{volume}-state"


@pytest.mark.parametrize("function", ["lint", "train", "build_image", "serve"])
def test_a_command_works_in_a_folder_named_as_the_project(called: Any, function: str) -> None:
    """Evidence and messages call a project by its folder's name, and `src` is everybody's."""
    session = called(function)
    recipe = _returned(session) if function in {"build_image", "serve"} else _recipe(session)
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
    assert project.all("withDirectory")[0]["source"].steps[0][1]["name"] == "rows"


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
    for function in ("run", "full_pipeline", "load_test", "evidence"):
        execs = _recipe(called(function)).all("withExec")
        lenient[function] = [one["args"][1] for one in execs if one.get("expect") == "ANY"]
    assert lenient == {
        "run": ["full-pipeline"],
        "full_pipeline": [],
        "load_test": [],
        "evidence": [],
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


def test_an_image_is_pushed_with_credentials_as_secrets(called: Any) -> None:
    session = called(
        "publish_image",
        arguments={
            "address": "registry.example/team/model:1",
            "username": "robot",
            "password": given("password", "secret"),
        },
    )
    assert session.returned == "registry/image@sha256:0"
    login = _recipe(session).all("withRegistryAuth")[0]
    assert login["address"], login["username"] == ("registry.example/team/model:1", "robot")
    assert login["secret"].steps[0][1]["name"] == "password"


def test_the_image_serves_and_holds_no_mounted_state(called: Any) -> None:
    image = _returned(called("build_image"))
    assert set(image.volumes()) == {"/var/cache/uv"}
    assert image.all("withDefaultArgs")[0]["args"][:2] == ["platform", "serve"]
    _parsed(image.all("withDefaultArgs")[0]["args"])
