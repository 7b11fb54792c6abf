"""`ml-pipeline init`: a commented configuration for an existing project, from what it shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings.loading import load
from ml_pipeline.settings.page import Page
from ml_pipeline.settings.project import OWN, configured, displayed
from ml_pipeline.settings.proposal import model_page, rows_page
from ml_pipeline.settings.proposal_commands import commands_page
from ml_pipeline.settings.survey import tools
from ml_pipeline.settings.survey.project import survey

_HEAD = """How a new model of this project is released, read by `ml-pipeline`.
`ml-pipeline init` wrote it from what the project shows. `check:` marks a guess that needs your \
eyes, `FILL IN:` what only you can know. docs/configuration.md explains every key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedConfig:
    """A configuration that is not written yet."""

    file: Path
    text: str

    @property
    def to_check(self) -> int:
        """How many guesses need eyes."""
        return self.text.count("# check:")


def propose(source: Path) -> ProposedConfig:
    """A configuration for the project in a folder; nothing is written, nothing of it runs.

    Raises:
        ConfigurationError: it has one already, or is no folder.
    """
    existing = configured(source)
    if existing is not None:
        raise ConfigurationError(
            f"{displayed(existing)} configures this project already; it is left as it is",
            remedy="Edit it, or move it away first.",
        )
    source = source.resolve()
    seen = survey(source)
    page = Page()
    for line in _HEAD.splitlines():
        page.note(line)
    page.gap()
    page.set("model", _model_name(source), note="name in the registry, in labels and in URLs")
    rows_page(page, seen)
    commands_page(page, seen)
    model_page(page, seen)
    return ProposedConfig(file=source / OWN, text=page.text)


def write(source: Path) -> Sequence[str]:
    """Write the proposed configuration; what was done and what is left to do, a line each.

    Raises:
        ConfigurationError: there is one already, or it cannot be written.
    """
    proposed = propose(source)
    try:
        with proposed.file.open("x", encoding="utf-8") as file:
            file.write(proposed.text)
    except OSError as error:
        raise ConfigurationError(
            f"{displayed(proposed.file)} cannot be written: {error.strerror}",
            remedy="Make the folder writable, or run this elsewhere.",
        ) from error
    return [f"wrote {displayed(proposed.file)}", *_left_to_do(proposed)]


def _left_to_do(proposed: ProposedConfig) -> Sequence[str]:
    lines = []
    if proposed.to_check:
        lines.append(f"look at what is marked `check:` ({proposed.to_check} guesses)")
    try:
        load(proposed.file.parent, environ={})
    except ConfigurationError as error:
        lines += [f"fill in: {line}" for line in str(error).splitlines()]
    return [*lines, "then run `ml-pipeline doctor`"]


def _model_name(source: Path) -> str:
    named = tools.pyproject(source).get("project", {}).get("name") or source.name
    name = re.sub(r"[^a-z0-9]+", "-", str(named).lower()).strip("-")[:63].strip("-")
    return name or "model"
