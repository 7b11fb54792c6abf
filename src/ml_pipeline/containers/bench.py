"""A container with the pipeline and a project in it, and the commands it runs."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import dagger
from dagger import dag

from ml_pipeline.containers.image import PROGRAM, UV_CACHE, extras, pipeline_image
from ml_pipeline.containers.project import Names, names_of
from ml_pipeline.containers.settings import whole_settings
from ml_pipeline.domain import left_out

#: Never part of a project, as patterns of Dagger's.
LEFT_OUT = [*(f"**/{name}" for name in sorted(left_out.LEFT_OUT)), "**/*.pyc"]
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
    "azure_token_request": "AZURE_TOKEN_REQUEST",
    "gcp_credentials": "GOOGLE_APPLICATION_CREDENTIALS",
    "slack_webhook": "ML_PIPELINE_SLACK_WEBHOOK",
    "mlflow_tracking_uri": "MLFLOW_TRACKING_URI",
    "mlflow_tracking_token": "MLFLOW_TRACKING_TOKEN",
}
#: Those that are the content of a file, and where it lies.
_FILES = {"GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/google.json"}
#: Commands without settings of this call: a run goes on with those it began with, and evidence
#: is what it is. Every other command takes them.
_NO_SETTINGS = {"resume", "evidence"}
#: Not ML_PIPELINE_…: such variables would be taken for settings.
NONCE, COMMIT = "MLP_CALL", "MLP_COMMIT"


class Uses(Enum):
    """What of a project's volumes a container mounts.

    Code that nobody has reviewed runs in the checks, so they have volumes of their own: nothing
    they leave is found where secrets are handed in or a model is released.

    CONTENT: what follows from content alone: environments and kept answers of the checks. Such a
    container has no nonce, so that the engine may answer from its cache. CHECKS: their evidence
    as well. RUNS: environments, kept answers and evidence of all other runs. STATE: these, and
    registry, platform and training jobs, which one run at a time holds.
    """

    CONTENT = 1
    CHECKS = 2
    RUNS = 3
    STATE = 4


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

    def command(self, verb: str, *words: str, uses: Uses = Uses.STATE, run: str = "") -> list[str]:
        """The pipeline's command line; `run` comes last, where nothing is taken for an option."""
        runs = "/own-runs" if uses is Uses.CONTENT else RUNS
        line = [PROGRAM, verb, *words, "--source", ".", "--state", STATE, "--runs", runs]
        line += [] if verb in _NO_SETTINGS else self.sets()
        return [*line, "--", run] if run else line

    def sets(self) -> list[str]:
        """Settings of this call as options."""
        return [word for one in whole_settings(self.settings) for word in ("--set", one)]

    def project(self) -> dagger.Directory:
        """The project as its own .gitignore sees it, the given rows laid over it."""
        files = self.source.filter(exclude=LEFT_OUT, gitignore=True)
        if self.data is None:
            return files
        # Not by an ignore list: engine 0.21 may apply one to an optional folder that is not given.
        return files.with_directory(".", self.data.filter(exclude=LEFT_OUT))

    async def container(
        self, extra: str, uses: Uses = Uses.STATE, *, waits: bool = False
    ) -> dagger.Container:
        """A container ready for the pipeline's command.

        Args:
            extra: what the stage needs installed, see `StageSpec.extra`.
            uses: which volumes are mounted.
            waits: whether given state is taken only after another run ended.
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
            words = ["import", _GIVEN_STATE, *(["--wait"] if waits else [])]
            box = box.with_exec(self.command("platform", *words))
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
    """Mount a project's volumes, outer ones first; what uv keeps for it is its own as well."""
    places = {UV_CACHE: "uv", f"{STATE}/envs": "envs", f"{STATE}/cache": "cache"}
    if uses is not Uses.CONTENT:
        places = {RUNS: "runs", **places}
    if uses is Uses.STATE:
        places = {STATE: "state", **places}
    for path, name in places.items():
        box = box.with_mounted_cache(path, volume(names, name, uses))
    return box


def volume(names: Names, name: str, uses: Uses) -> dagger.CacheVolume:
    """A volume of the project, or of its checks."""
    kind = "-checks" if uses in {Uses.CONTENT, Uses.CHECKS} else ""
    return dag.cache_volume(f"ml-pipeline-{names.model}-{name}{kind}")
