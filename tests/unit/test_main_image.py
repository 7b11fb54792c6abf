"""The project's own image: what docs/containers.md asks of it, and how it is pushed."""

from typing import Any

import pytest

from ml_pipeline.containers.bench import SECRETS
from ml_pipeline.domain import cloud_image
from tests.fakes.recording_session import PROJECT, Recipe, Session, call, decode, given, parent

FILES = {
    **PROJECT, "src/shop/train.py": "", "requirements/base.txt": "numpy", "data/rows.csv": "1",
}  # fmt: skip


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Any:
    def built(**more: Any) -> Recipe:
        session = call("build_image", monkeypatch, **{"files": FILES, **more})
        assert session.error is None, session.error
        found = decode(session.returned)
        assert isinstance(found, Recipe)
        return found

    return built


def _environment(image: Recipe) -> Recipe:
    """Of the folder of environments that lies in the image."""
    (made,) = [one for one in image.all("withDirectory") if one["path"].endswith("/envs")]
    assert isinstance(made["source"], Recipe)
    return made["source"]


def _project(image: Recipe) -> Recipe:
    (laid,) = [one["source"] for one in image.all("withDirectory") if one["path"] == "/opt/project"]
    assert isinstance(laid, Recipe)
    return laid


def test_the_image_is_what_every_cloud_starts(built: Any) -> None:
    image = built()
    assert image.all("withEntrypoint")[-1]["args"] == [
        "/opt/ml-pipeline/bin/python", "-m", "ml_pipeline.entry",
    ]  # fmt: skip
    assert image.steps[-1][0] == "withoutDefaultArgs", "SageMaker adds one word and no more"
    assert not image.commands(), "what it needs to be made is not in it"
    (argv,) = [argv for argv in image.execs() if "--extra" in argv]
    assert [argv[i + 1] for i, word in enumerate(argv) if word == "--extra"] == ["container"]


def test_adapters_start_the_image_by_the_path_the_recipe_gives_its_python(built: Any) -> None:
    """Its PATH finds the base image's Python, which has nothing of the pipeline."""
    from ml_pipeline.adapters.azureml import training as azureml
    from ml_pipeline.adapters.vertex import registry, training

    entry = built().all("withEntrypoint")[-1]["args"]
    assert azureml._COMMAND.split()[:4] == [*entry, "train"]
    assert [*entry, "train"] == training._COMMAND
    assert [*entry, "serve"] == registry._COMMAND


def test_the_project_and_its_environment_are_where_the_entry_program_looks(built: Any) -> None:
    image = built()
    assert _project(image)
    assert cloud_image.PROJECT == "/opt/project"
    (link,) = image.all("withSymlink")
    assert link["linkName"] == cloud_image.PROJECT_ENV
    assert link["target"] == "/opt/project-state/envs/0a1b2c/venv"
    made = _environment(image)
    (argv,) = made.commands()
    assert argv == ["prepare", "--source", ".", "--state", "/opt/project-state"]
    assert made.all("withWorkdir")[-1]["path"] == cloud_image.PROJECT, (
        "it names folders by their path"
    )
    (kept,) = [one["path"] for one in image.all("withDirectory") if one["path"].endswith("/envs")]
    assert made.steps[-1] == ("directory", {"path": kept}), "it works only where it was made"


def test_an_edit_to_the_project_makes_its_environment_again_only_where_that_is_declared(
    built: Any,
) -> None:
    """Files that declare nothing are not there, their folders are, for imports."""
    made = _environment(built())
    (laid,) = [one["source"] for one in made.all("withDirectory") if one["path"] == "/opt/project"]
    folders = [one["path"] for one in laid.all("withNewDirectory")]
    assert folders == ["data", "requirements", "src", "src/shop"]
    (declared,) = [one["source"] for one in laid.all("withDirectory")]
    include = declared.all("filter")[-1]["include"]
    assert {"**/*.toml", "**/*.lock", "**/*.txt", "**/*.cfg"} <= set(include)
    assert not {"**", "*", "**/*", "**/*.py"} & set(include)


def test_settings_decide_the_environment_as_on_the_host(built: Any) -> None:
    made = _environment(built(parent=parent(settings=["environment.groups=['a'", "'b']"])))
    assert made.commands()[0][-2:] == ["--set", "environment.groups=['a','b']"]


def test_an_image_holds_no_rows_no_credentials_and_no_volume_of_a_run(built: Any) -> None:
    secrets = {name: given(name, "secret") for name in SECRETS}
    image = built(parent=parent(data=given("rows"), **secrets))
    assert "rows" not in str(_project(image))
    for one in (image, _environment(image)):
        assert one.secrets() == {}
        assert set(one.volumes()) == {"/var/cache/uv"}


def test_a_project_in_a_folder_of_what_was_given_is_the_images_project(built: Any) -> None:
    files = {
        "pyproject.toml": '[tool.ml-pipeline]\nsource = "inner"',
        "inner/ml-pipeline.toml": 'model = "inside"',
    }
    assert _project(built(files=files)).all("directory") == [{"path": "inner"}]


def _pushed(monkeypatch: pytest.MonkeyPatch, **more: Any) -> Session:
    arguments = {
        "address": "registry.example/team/model:1",
        "username": "robot",
        "password": given("password", "secret"),
    }
    return call("publish_image", monkeypatch, **{"arguments": arguments, **more})


def test_an_image_is_pushed_with_credentials_as_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    session = _pushed(monkeypatch)
    assert session.returned == "registry/image@sha256:0"
    image = next(one for one, leaf in session.asked if leaf == "publish")
    (login,) = image.all("withRegistryAuth")
    assert login["address"] == "registry.example/team/model:1"
    assert login["username"] == "robot"
    assert login["secret"].steps[0][1] == {"name": "password", "kind": "secret"}


@pytest.mark.parametrize(
    ("refusal", "code", "reason"),
    [
        (
            (
                "failed to authorize: failed to fetch oauth token: unexpected status from POST"
                " request to https://auth.docker.io/token: 401 Unauthorized"
            ),
            "6",
            "the registry did not take the image: ",
        ),
        (
            "push access denied, repository does not exist or may require authorization",
            "6",
            "the registry did not take the image: ",
        ),
        (
            'failed to parse registry address "a b": invalid reference format',
            "4",
            "the image's address is none: ",
        ),
        (
            (
                'failed to do request: Head "https://registry.example/v2/":'
                " dial tcp 127.0.0.1:443: connect: connection refused"
            ),
            "7",
            "the image's registry did not answer: ",
        ),
        (
            "unexpected status from PUT request to https://r.example: 503 Service Unavailable",
            "7",
            "the image's registry did not answer: ",
        ),
        ('secret env var not found: "x": resolve session secret', "4", "a secret cannot be read: "),
    ],
)
def test_a_push_that_is_refused_says_so_and_ends_with_a_documented_code(
    refusal: str, code: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _pushed(monkeypatch, push_refusal=refusal)
    assert session.error is not None
    told = {one["name"]: one["value"] for one in session.error.all("withValue")}
    assert (told["_type"], told["exitCode"]) == ('"EXEC_ERROR"', code)
    message = session.error.all("error")[0]["message"]
    assert message.startswith(f"{reason}{refusal}")
    assert message.splitlines()[-1].startswith("  ")
