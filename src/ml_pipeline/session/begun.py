"""What a run was asked when it began, and that it is still about the same thing."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator

from ml_pipeline.adapters.local.evidence import (
    BOOTSTRAP,
    JOURNAL,
    LocalRuns,
    is_damaged,
    newest_result,
    read_journal,
)
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.identifiers import LONGEST_RUN_ID
from ml_pipeline.pipeline import STAGES
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.settings import Settings

STARTED = "run-started"
_DIGESTS = ("source_digest", "settings_digest")


class Begun(BaseModel):
    """What a run was asked when it began; `at` is when, `sets` its `--set` options.

    `rules` are the settings beside the digest that say what may reach users, and where.
    """

    options: RunOptions
    rules: dict[str, JsonValue] = Field(default_factory=dict)
    sets: list[str]
    stages: list[str]
    at: datetime

    @field_validator("options", mode="before")
    @classmethod
    def _names_what_it_is_about(cls, value: object) -> object:
        if isinstance(value, dict) and value.keys() >= set(_DIGESTS):
            return value
        raise ValueError("names no source and no settings")


def asked_of(run_folder: Path) -> Begun | None:
    """What a run of stages began with, None for what is none.

    Raises:
        DataError: its journal does not say that any more.
    """
    for line in read_journal(run_folder):
        if line["event"] == STARTED:
            with suppress(ValidationError):
                return Begun.model_validate(line)
            break
    else:
        if not is_damaged(run_folder):
            return None
    raise DataError(
        f"the journal {run_folder / JOURNAL} is damaged: how the run began is not to be read",
        remedy=f"End it with `ml-pipeline abort {run_folder.name}`.",
    )


def refuse_known(runs: LocalRuns, run_id: str) -> None:
    """A new run needs an id of its own: evidence of two runs in one folder is of neither.

    Raises:
        ConfigurationError: there is a run of that id, or it is too long for a first champion's.
    """
    longest = LONGEST_RUN_ID - len(BOOTSTRAP)
    if len(run_id) > longest:
        raise ConfigurationError(
            f"the run id {run_id!r} has {len(run_id)} characters, more than {longest}",
            remedy=f"Use a shorter one: the run of a first champion is called ID{BOOTSTRAP}.",
        )
    for name in (run_id, f"{run_id}{BOOTSTRAP}"):
        if (runs.folder(name) / JOURNAL).is_file():
            raise ConfigurationError(
                f"there is a run {name!r} already",
                remedy=f"Choose another --run-id, or go on with `ml-pipeline resume {name}`.",
            )


def rules_of(settings: Settings) -> dict[str, JsonValue]:
    """What may reach users, and where: the settings' digest is of what makes a verdict only.

    On a cloud that is the image too, which trains and serves.
    """
    rules = settings.model_dump(mode="json", include={"approval", "platform"})
    cloud = getattr(settings, settings.platform)
    return rules | {
        name: reference
        for name in ("image", "training_image")
        if (reference := getattr(cloud, name, None)) is not None
    }


def refuse_mixed(
    run_folder: Path, begun: Begun, options: RunOptions, rules: Mapping[str, JsonValue]
) -> None:
    """Hold code, settings and rules, and those of every stage, against what the run began with.

    A verdict on one model says nothing of another, nor an approval under other rules.

    Raises:
        ConfigurationError: something is about other code or settings.
        DataError: a result cannot be read.
    """
    began = {name.removesuffix("_digest"): getattr(begun.options, name) for name in _DIGESTS}
    changed = [
        name for name, digest in began.items() if digest != getattr(options, f"{name}_digest")
    ]
    changed += [name for name in begun.rules if begun.rules[name] != rules.get(name)]
    if changed:
        raise ConfigurationError(
            f"{changed[0]} changed since run {run_folder.name} began, so its evidence is about"
            " something else",
            remedy="Start a new run, or put back what changed.",
        )
    for stage in STAGES:
        found = newest_result(run_folder, stage.id)
        known = {} if found is None else found.inputs
        other = [name for name, digest in began.items() if known.get(name, digest) != digest]
        if other:
            raise ConfigurationError(
                f"stage {stage.id} of run {run_folder.name} was run again with other {other[0]}"
                " than the run began with",
                remedy=f"Run `ml-pipeline run {stage.id} --run {run_folder.name}` as the run"
                " began, or start a new run.",
            )
