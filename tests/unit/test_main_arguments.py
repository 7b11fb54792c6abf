"""Every argument of every function, word by word, as it reaches the pipeline's command."""

import inspect
from typing import Any

import pytest
import typer

from ml_pipeline.cli.app import app
from ml_pipeline.containers.bench import SECRETS
from ml_pipeline.main import MlPipeline
from ml_pipeline.pipeline import STAGES
from tests.fakes.recording_session import Recipe, Session, call, decode, given, parent

SETS = ["--set", "load.rate_per_s=80"]
ALONE = ["--source", ".", "--state", "/state", "--runs", "/own-runs", *SETS]
PLACES = ["--source", ".", "--state", "/state", "--runs", "/runs"]
PLACED = [*PLACES, *SETS]
EXPORT = ["evidence", "export", "--output", "/out", *PLACES, "--", "mine"]
WHOLE = {
    "force": True, "force_promote": True, "reason": "why", "chaos": "errors=0.2",
    "cutoff_date": "2026-01-26", "run_id": "mine", "trigger": "schedule", "wait": True,
}  # fmt: skip
WORDS = [
    "--force", "--force-promote", "--reason", "why", "--chaos", "errors=0.2",
    "--cutoff-date", "2026-01-26",
]  # fmt: skip
#: A function with all its arguments but `evidence`, and the whole lines that its containers run.
LINES: dict[str, tuple[dict[str, Any], list[list[str]]]] = {
    "full_pipeline": (
        WHOLE,
        [
            [
                *("full-pipeline", *WORDS, "--run-id", "mine", "--trigger", "schedule", "--wait"),
                *PLACED,
            ],
        ],
    ),
    "run": (
        WHOLE,
        [
            [
                *("full-pipeline", "--run-id", "mine", *WORDS, "--trigger", "schedule", "--wait"),
                *PLACED,
            ],
            EXPORT,
        ],
    ),
    "ci": (
        {"run_id": "mine", "trigger": "push"},
        [["ci", "--run-id", "mine", "--trigger", "push", *PLACED]],
    ),
    "resume": (
        {"run": "mine", "approve": True, "reason": "why", "wait": True},
        [["resume", "--approve", "--reason", "why", "--wait", *PLACES, "--", "mine"]],
    ),
    "abort": ({"run": "mine", "wait": True}, [["abort", "--wait", *PLACED, "--", "mine"]]),
    "rollback": (
        {"reason": "why", "wait": True},
        [["rollback", "--reason", "why", "--wait", *PLACED]],
    ),
    "evidence": ({"run": "mine"}, [EXPORT]),
    "state": ({}, [["platform", "export", "/out", *PLACED]]),
    "lint": ({}, [["run", "lint", "--run", "lint", *ALONE]]),
    "unit_test": ({}, [["run", "unit-test", "--run", "unit-test", *ALONE]]),
    "decide": (
        {"run": "mine", "force": True, "reason": "why"},
        [["run", "decide", "--run", "mine", "--force", "--reason", "why", *PLACED]],
    ),
    "compare": (
        {"run": "mine", "force_promote": True},
        [["run", "compare", "--run", "mine", "--force-promote", *PLACED]],
    ),
    **{
        name: (
            {"run": "mine", "chaos": "crash_after=50"},
            [["run", stage, "--run", "mine", "--chaos", "crash_after=50", *PLACED]],
        )
        for name, stage in (
            ("deploy_production", "deploy-production"),
            ("shift_traffic", "shift-traffic"),
        )
    },
}
STAGE_FUNCTIONS = {one.id.replace("-", "_"): one.id for one in STAGES}
for _name, _stage in STAGE_FUNCTIONS.items():
    LINES.setdefault(_name, ({"run": "mine"}, [["run", _stage, "--run", "mine", *PLACED]]))
#: What a container's variables may be called; every credential is a secret and none of these.
VARIABLES = {
    "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_LINK_MODE", "UV_CACHE_DIR", "CI", "ML_PLATFORM",
    "ML_PIPELINE_PROFILE", "MLP_COMMIT", "MLP_CALL", "GOOGLE_APPLICATION_CREDENTIALS",
}  # fmt: skip
#: Shown elsewhere: they run no command of the pipeline as their last step.
ELSEWHERE = {"serve", "build_image", "publish_image"}


def _functions() -> dict[str, list[str]]:
    """The functions of the module, each with its arguments."""
    public = {name: one for name, one in vars(MlPipeline).items() if inspect.isfunction(one)}
    return {
        name: [word for word in inspect.signature(one).parameters if word != "self"]
        for name, one in public.items()
        if not name.startswith("_")
    }


def _everything() -> dict[str, Any]:
    """The main object with all that its constructor takes."""
    return parent(
        platform="vertex", profile="production", settings=["load.rate_per_s=80"], commit="abc",
        package_index=given("index", "secret"),
        **{name: given(name, "secret") for name in SECRETS},
    )  # fmt: skip


@pytest.fixture(scope="module")
def sessions() -> dict[str, Session]:
    """Every function called once, with all its arguments and the whole constructor."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, (arguments, _) in LINES.items():
            new = name == "run"  # whose id no earlier run has
            found[name] = call(
                name, patch, parent=_everything(), arguments=arguments,
                **({"ends": _no_such_run} if new else {}),
            )  # fmt: skip
        found["serve"] = call("serve", patch, parent=_everything(), arguments={"port": 9000})
        found["build_image"] = call("build_image", patch, parent=_everything())
        found["publish_image"] = call(
            "publish_image", patch, parent=_everything(), arguments={"address": "r.example/a:1"}
        )
    return found


def _no_such_run(argv: list[str]) -> tuple[int, str]:
    return (4, "") if "evidence" in argv else (0, "")


def _longest(session: Session) -> Recipe:
    return max(session.containers(), key=lambda one: len(one.steps))


def test_no_function_and_no_argument_is_left_out_here() -> None:
    functions = _functions()
    assert set(LINES) | ELSEWHERE == set(functions)
    for name, (arguments, _) in LINES.items():
        assert set(arguments) == set(functions[name]) - {"evidence"}, name


@pytest.mark.parametrize("function", sorted(LINES))
def test_every_option_of_a_function_reaches_its_command_word_by_word(
    sessions: dict[str, Session], function: str
) -> None:
    lines = LINES[function][1]
    assert _longest(sessions[function]).commands()[-len(lines) :] == lines
    for line in lines:
        _, params = _parsed(line)
        assert params is not None


@pytest.mark.parametrize(
    "function", sorted(name for name, words in _functions().items() if "evidence" in words)
)
def test_evidence_passed_in_reaches_every_stage(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _longest(call(function, monkeypatch, arguments={"evidence": given("mine")}))
    (mount,) = recipe.all("withMountedDirectory")
    assert mount["path"] == "/given/evidence"
    assert mount["source"].steps[0][1]["name"] == "mine"
    stage = STAGE_FUNCTIONS[function]
    assert recipe.commands() == [["run", stage, "--evidence", "/given/evidence", *PLACES]]


@pytest.mark.parametrize("function", sorted({*LINES, *ELSEWHERE}))
def test_credentials_are_never_read_and_no_plain_variable_holds_one(
    sessions: dict[str, Session], function: str
) -> None:
    session = sessions[function]
    assert not [leaf for _, leaf in session.asked if leaf == "plaintext"]
    recipes = [recipe for recipe, _ in session.asked]
    recipes += [found] if isinstance(found := decode(session.returned), Recipe) else []
    for recipe in recipes:
        assert set(recipe.environment()) <= VARIABLES
        named = {place: secret.steps[0][1]["name"] for place, secret in recipe.secrets().items()}
        wanted = {
            "UV_DEFAULT_INDEX": "index", "PIP_INDEX_URL": "index",
            "/run/secrets/google.json": "gcp_credentials",
            **{variable: name for name, variable in SECRETS.items()},
        }  # fmt: skip
        assert named.items() <= wanted.items()


@pytest.mark.parametrize("function", ["train", "full_pipeline", "abort", "resume", "ci"])
def test_every_credential_reaches_the_calls_that_drive_a_platform(
    sessions: dict[str, Session], function: str
) -> None:
    recipe = _longest(sessions[function])
    variables = {*SECRETS.values()} - {"GOOGLE_APPLICATION_CREDENTIALS"}
    assert variables | {"/run/secrets/google.json"} <= set(recipe.secrets())
    assert recipe.environment()["ML_PLATFORM"] == "vertex"
    assert recipe.environment()["ML_PIPELINE_PROFILE"] == "production"


def test_state_given_to_a_call_that_waits_is_taken_after_another_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for arguments, waits in (({"wait": True}, ["--wait"]), ({}, [])):
        holds = parent(given_state=given("state"))
        recipe = _longest(call("abort", monkeypatch, parent=holds, arguments=arguments))
        first = recipe.commands()[0]
        assert first == ["platform", "import", "/given/state", *waits, *PLACES]
        assert _parsed(first)[0] == "import"


@pytest.mark.parametrize("function", ["abort", "resume", "evidence", "load_test"])
def test_an_id_that_looks_like_an_option_is_an_id(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--run=--help` would show a help text, end with 0 and abort nothing."""
    for name in ("--help", "--wait"):
        recipe = _longest(call(function, monkeypatch, arguments={"run": name}))
        _, params = _parsed(recipe.commands()[-1])
        assert name in {params.get("run_id"), params.get("on")}
        assert not params.get("wait")


def test_the_platform_is_served_with_the_settings_of_the_call(sessions: dict[str, Session]) -> None:
    service = decode(sessions["serve"].returned)
    (listens,) = service.all("asService")
    assert listens["args"][1:] == [
        "platform", "serve", "--host", "0.0.0.0", "--port", "9000", *PLACED,
    ]  # fmt: skip
    assert _parsed(listens["args"][1:])[1]["sets"] == ["load.rate_per_s=80"]


def test_the_platforms_that_help_names_are_all_there_are() -> None:
    from ml_pipeline.containers import arguments
    from ml_pipeline.settings import Platform

    told = arguments.Platform.__metadata__[0].documentation
    assert told.partition(": ")[2].partition(" [")[0].replace(" or ", ", ").split(", ") == [
        one.value for one in Platform
    ]


def _parsed(argv: list[str]) -> tuple[str, dict[str, Any]]:
    """The command that a line comes to and its parameters, as the real program reads it."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("ml-pipeline", list(argv), resilient_parsing=False)
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(
            context, [*getattr(context, "_protected_args", []), *context.args]
        )
        context = command.make_context(command.name, list(rest), parent=context)
    return context.info_name, context.params
