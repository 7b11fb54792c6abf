"""A container with the pipeline and a project in it, and the commands it runs."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import dagger
from dagger import dag

from ml_pipeline.containers.image import PROGRAM, extras, pipeline_image
from ml_pipeline.containers.project import Names, names_of

#: Never part of a project: what tools leave, and what the pipeline itself writes.
LEFT_OUT = [
    "**/.git", "**/.venv", "**/venv", "**/__pycache__", "**/node_modules", "**/runs",
    "**/.ml-pipeline", "**/.pytest_cache", "**/.ruff_cache", "**/.mypy_cache", "**/.hypothesis",
    "**/.tox", "**/.nox", "**/.ipynb_checkpoints", "**/.coverage", "**/.DS_Store", "**/.idea",
    "**/.vscode", "**/*.pyc",
]  # fmt: skip
SOURCE, STATE, RUNS, OUT = "/src", "/state", "/runs", "/out"
EVIDENCE, _GIVEN_STATE = "/given/evidence", "/given/state"
#: The environment variable that hands on each credential of the constructor.
SECRETS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "azure_tenant_id": "AZURE_TENANT_ID",
    "azure_client_id": "AZURE_CLIENT_ID",
    "azure_client_secret": "AZURE_CLIENT_SECRET",
    "gcp_credentials": "GOOGLE_APPLICATION_CREDENTIALS",
    "slack_webhook": "ML_PIPELINE_SLACK_WEBHOOK",
    "mlflow_tracking_uri": "MLFLOW_TRACKING_URI",
    "mlflow_tracking_token": "MLFLOW_TRACKING_TOKEN",
}
#: Those that are the content of a file, and where it lies.
_FILES = {"GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/google.json"}
#: Commands that begin something with settings; `resume` has those its run began with.
_TAKE_SETTINGS = {"full-pipeline", "ci", "run"}
#: Not ML_PIPELINE_…: such variables would be taken for settings.
NONCE, COMMIT = "MLP_CALL", "MLP_COMMIT"


class Uses(Enum):
    """What of a project's volumes a container mounts, each including the ones before.

    CONTENT: what follows from content alone: environments and kept answers. Such a container
    has no nonce, so that the engine may answer from its cache. RUNS: the evidence of all runs.
    STATE: registry, platform and training jobs, which one run at a time holds.
    """

    CONTENT = 1
    RUNS = 2
    STATE = 3


def whole_settings(pieces: Sequence[str]) -> list[str]:
    """Settings as they were written: Dagger's command line parts a list at every comma.

    >>> whole_settings(["load.rate_per_s=80", "rollout.steps=[10", "100]", "a.b={x=1", "y=2}"])
    ['load.rate_per_s=80', 'rollout.steps=[10,100]', 'a.b={x=1,y=2}']
    """
    found: list[str] = []
    for piece in pieces:
        open_ones = sum(found[-1].count(one) for one in "[{") if found else 0
        closed = sum(found[-1].count(one) for one in "]}") if found else 0
        if found and (open_ones > closed or "=" not in piece):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found


def fresh() -> str:
    """What no call has used; fit to be a run's id."""
    return f"run-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything the containers of one call are made from; `secrets` by environment variable."""

    source: dagger.Directory
    data: dagger.Directory | None
    platform: str
    profile: str
    base_image: str
    index: dagger.Secret | None
    secrets: Mapping[str, dagger.Secret | None]
    settings: Sequence[str]
    state: dagger.Directory | None
    commit: str
    call: str = field(default_factory=fresh)

    def command(self, verb: str, *words: str, uses: Uses = Uses.STATE) -> list[str]:
        """The pipeline's command line."""
        sets = whole_settings(self.settings) if verb in _TAKE_SETTINGS else ()
        runs = "/own-runs" if uses is Uses.CONTENT else RUNS
        line = [PROGRAM, verb, *words, "--source", ".", "--state", STATE, "--runs", runs]
        return [*line, *(word for one in sets for word in ("--set", one))]

    def project(self) -> dagger.Directory:
        """The project as its own .gitignore sees it, the given rows laid over it."""
        files = self.source.filter(exclude=LEFT_OUT, gitignore=True)
        return files if self.data is None else files.with_directory(".", self.data)

    async def image(self) -> dagger.Container:
        """The project's own image: its environment made, its code beside it, ready to serve."""
        names = await names_of(self.source)
        wanted = extras("local", self.platform or names.platform)
        box = self._with_project(pipeline_image(self.base_image, wanted, self.index), names)
        listen = self.command("platform", "serve", "--host", "0.0.0.0", "--port", "8080")  # noqa: S104
        return (
            box.with_exec(self.command("prepare"))
            .with_exposed_port(8080)
            .with_entrypoint(listen[:1])
            .with_default_args(listen[1:])
        )

    async def container(self, extra: str, uses: Uses = Uses.STATE) -> dagger.Container:
        """A container ready for the pipeline's command.

        Args:
            extra: what the stage needs installed, see `StageSpec.extra`.
            uses: which volumes are mounted.
        """
        names = await names_of(self.source)
        platform = self.platform or names.platform
        box = pipeline_image(self.base_image, extras(extra, platform), self.index)
        box = _with_volumes(box, names, uses)
        for variable, value in (
            ("CI", "true"),
            ("ML_PLATFORM", self.platform),
            ("ML_PIPELINE_PROFILE", self.profile),
            (COMMIT, "" if uses is Uses.CONTENT else self.commit),
            (NONCE, "" if uses is Uses.CONTENT else self.call),
        ):
            box = box.with_env_variable(variable, value) if value else box
        box = self._with_project(box, names)
        if uses is Uses.STATE and self.state is not None:
            box = box.with_mounted_directory(_GIVEN_STATE, self.state)
            box = box.with_exec(self.command("platform", "import", _GIVEN_STATE))
        return box if uses is Uses.CONTENT else self._with_secrets(box)

    def _with_project(self, box: dagger.Container, names: Names) -> dagger.Container:
        """The project, in a folder named as its model: evidence calls a project by its folder."""
        place = f"{SOURCE}/{names.model}"
        return box.with_directory(place, self.project()).with_workdir(place)

    def _with_secrets(self, box: dagger.Container) -> dagger.Container:
        for variable, secret in self.secrets.items():
            if secret is None:
                continue
            if variable in _FILES:
                box = box.with_mounted_secret(_FILES[variable], secret)
                box = box.with_env_variable(variable, _FILES[variable])
            else:
                box = box.with_secret_variable(variable, secret)
        return box


def _with_volumes(box: dagger.Container, names: Names, uses: Uses) -> dagger.Container:
    """Mount a project's volumes, outer ones first."""
    places = {f"{STATE}/envs": "envs", f"{STATE}/cache": "cache"}
    if uses is not Uses.CONTENT:
        places = {RUNS: "runs", **places}
    if uses is Uses.STATE:
        places = {STATE: "state", **places}
    for path, name in places.items():
        volume = dag.cache_volume(f"ml-pipeline-{names.model}-{name}")
        box = box.with_mounted_cache(path, volume)
    return box
