"""What the module must know of a project before any container runs: its names."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagger

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
#: A project whose configuration cannot be read; the pipeline in the container says why.
UNCONFIGURED = "unconfigured"


@dataclass(frozen=True, slots=True)
class Names:
    """The model's name, after which volumes are called, and the platform the project chose."""

    model: str = UNCONFIGURED
    platform: str = "local"


async def names_of(source: dagger.Directory) -> Names:
    """Names in a project's configuration, wherever its folder redirects to; never an error."""
    table = await _table(source, ".")
    inner = table.get("source")
    if isinstance(inner, str):
        table = await _table(source, inner)
    model, platform = str(table.get("model", "")), str(table.get("platform", "local"))
    return Names(model if _NAME.match(model) else UNCONFIGURED, platform)


async def _table(source: dagger.Directory, folder: str) -> Mapping[str, Any]:
    try:
        inside = source if folder == "." else source.directory(folder)
        entries = await inside.entries()
        if "ml-pipeline.toml" in entries:
            return tomllib.loads(await inside.file("ml-pipeline.toml").contents())
        if "pyproject.toml" in entries:
            found = tomllib.loads(await inside.file("pyproject.toml").contents())
            table = found.get("tool", {}).get("ml-pipeline", {})
            return table if isinstance(table, Mapping) else {}
    except (tomllib.TOMLDecodeError, dagger.QueryError):
        pass
    return {}
