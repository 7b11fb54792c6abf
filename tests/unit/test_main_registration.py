"""What `dagger functions` and `--help` show, as the SDK registers it with an engine."""

from dataclasses import dataclass
from typing import Any

import pytest

from ml_pipeline.pipeline import STAGES
from tests.fakes.recording_session import Recipe, call_alone, decode

WHOLE = {
    "full-pipeline", "run", "ci", "resume", "abort", "rollback",
    "evidence", "state", "serve", "build-image", "publish-image",
}  # fmt: skip
CHECKS = {"lint", "unit-test", "validate-data", "smoke-train"}
#: They follow from content alone, and an engine may answer them from its cache.
CACHEABLE = {"lint", "unit-test", "build-image"}


@dataclass(frozen=True)
class Registered:
    """One function as the engine knows it."""

    name: str
    recipe: Recipe

    @property
    def description(self) -> str:
        return "".join(one["description"] for one in self.recipe.all("withDescription"))

    @property
    def arguments(self) -> list[dict[str, Any]]:
        return self.recipe.all("withArg")

    @property
    def required(self) -> list[str]:
        return [
            one["name"]
            for one in self.arguments
            if one.get("defaultValue") is None
            and one.get("defaultPath") is None
            and not one["typeDef"].all("withOptional")
        ]


@dataclass(frozen=True)
class Module:
    recipe: Recipe

    def object(self, name: str) -> Recipe:
        types = [one["object"] for one in self.recipe.all("withObject")]
        return next(one for one in types if one.all("withObject")[0]["name"] == name)

    def functions(self, name: str) -> dict[str, Registered]:
        recipes = [one["function"] for one in self.object(name).all("withFunction")]
        found = [Registered(_shown(one.all("function")[0]["name"]), one) for one in recipes]
        return {one.name: one for one in found}

    def constructor(self) -> Registered:
        return Registered("", self.object("MlPipeline").all("withConstructor")[0]["function"])


@pytest.fixture(scope="module")
def module() -> Module:
    session, done = call_alone("")
    assert done.returncode == 0, done.stderr
    return Module(decode(session.returned))


def _shown(name: str) -> str:
    """A function's name on the command line."""
    return name.replace("_", "-")


def test_every_stage_is_a_function_and_nothing_is_missing_or_left_over(module: Module) -> None:
    assert set(module.functions("MlPipeline")) == {one.id for one in STAGES} | WHOLE


def test_the_functions_of_a_run_are_those_for_chaining(module: Module) -> None:
    fields = {one["name"] for one in module.object("Run").all("withField")}
    assert fields == {"evidence"}
    assert set(module.functions("Run")) == {"outcome", "summary", "junit", "report"}


def test_the_class_keeps_the_name_python_readers_look_for() -> None:
    import ml_pipeline.main

    assert ml_pipeline.main.MLPipeline is ml_pipeline.main.MlPipeline


def test_help_reads_like_a_manual(module: Module) -> None:
    about = module.object("MlPipeline").all("withObject")[0]["description"]
    assert "2 no improvement" in about
    for name in ("MlPipeline", "Run"):
        assert module.object(name).all("withObject")[0]["description"]
        for one in module.object(name).all("withField"):
            assert one.get("description"), one["name"]
    documented = [
        module.constructor(),
        *module.functions("MlPipeline").values(),
        *module.functions("Run").values(),
    ]
    for function in documented:
        assert function.description, function.name
        for argument in function.arguments:
            assert argument.get("description"), f"{function.name} --{argument['name']}"


def test_the_constructor_takes_the_example_by_default_and_leaves_droppings_out(
    module: Module,
) -> None:
    arguments = {one["name"]: one for one in module.constructor().arguments}
    assert module.constructor().required == []
    assert arguments["source"]["defaultPath"] == "examples/freshmart"
    assert {"**/.venv", "**/runs", "**/.ml-pipeline", "**/.git"} <= set(
        arguments["source"]["ignore"]
    )
    assert {"state", "data", "platform", "profile", "base_image", "settings"} <= set(arguments)


def test_the_ignored_are_what_the_host_leaves_out_of_a_projects_digest() -> None:
    from ml_pipeline.adapters.local import source
    from ml_pipeline.containers.bench import LEFT_OUT

    assert {one.removeprefix("**/") for one in LEFT_OUT} == {*source.LEFT_OUT, "*.pyc"}


def test_the_checks_are_complete_and_take_no_arguments(module: Module) -> None:
    found = module.functions("MlPipeline")
    checks = {name for name, one in found.items() if one.recipe.all("withCheck")}
    assert checks == CHECKS
    assert not [name for name in checks if found[name].required]


def test_whatever_has_a_side_effect_or_a_clock_is_never_cached(module: Module) -> None:
    cached = set()
    for name, one in module.functions("MlPipeline").items():
        policies = [policy["policy"] for policy in one.recipe.all("withCachePolicy")]
        if policies != ["Never"]:
            cached.add(name)
    assert cached == CACHEABLE


def test_credentials_are_secrets(module: Module) -> None:
    from ml_pipeline.containers.bench import SECRETS

    arguments = {one["name"]: one for one in module.constructor().arguments}
    words = ("token", "secret", "key", "password", "credentials", "webhook", "index")
    for name, argument in arguments.items():
        kind = [one["name"] for one in argument["typeDef"].all("withObject")]
        if any(word in name.lower() for word in words):
            assert kind == ["Secret"], name
    assert set(SECRETS) <= set(arguments)
