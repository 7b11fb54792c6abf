"""What the module must know of a project before any container runs: its names, and its folder."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagger

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
#: A project whose configuration cannot be read; the pipeline in the container says why.
UNCONFIGURED = "unconfigured"


@dataclass(frozen=True, slots=True)
class Names:
    """The model's name, after which volumes are called, and what else a project chose.

    `platform` is where it trains and serves, `folder` where it lies in what was given.
    """

    model: str = UNCONFIGURED
    platform: str = "local"
    folder: str = "."


async def names_of(source: dagger.Directory) -> Names:
    """Names in a project's configuration, wherever its folder redirects to; never an error."""
    table, folder = await _table(source, "."), "."
    inner = table.get("source")
    if isinstance(inner, str):
        table = await _table(source, inner)
        folder = inner if table else "."
    model, platform = table.get("model"), table.get("platform", "local")
    return Names(
        model if isinstance(model, str) and _NAME.fullmatch(model) else UNCONFIGURED,
        platform if isinstance(platform, str) else "",
        folder,
    )


async def _table(source: dagger.Directory, folder: str) -> Mapping[str, Any]:
    try:
        inside = source if folder == "." else source.directory(folder)
        entries = await inside.entries()
        if "ml-pipeline.toml" in entries:
            return tomllib.loads(await inside.file("ml-pipeline.toml").contents())
        if "pyproject.toml" in entries:
            found = tomllib.loads(await inside.file("pyproject.toml").contents())
            return _below(_below(found, "tool"), "ml-pipeline")
    except (ValueError, RecursionError, dagger.QueryError):  # no TOML, text or file
        pass
    return {}


def _below(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The table of that name, empty where there is something else."""
    found = table.get(name)
    return found if isinstance(found, Mapping) else {}
