"""The champion as last written down, readable in a millisecond and without loading MLflow.

For what only shows or compares the champion's version (`status`, "nothing to do"); whatever
decides about a model asks the registry itself. An answer of None means "ask the registry", never
"there is no champion".

Staleness: the note is taken away before the alias moves and written again after, so a crash in
between leaves none. It counts only while the registry's database still gives the alias to the
version it names, so an alias moved by another program is noticed. Tags that another program
edits are not: `metrics` and `tags` are as of the last write by this pipeline.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_pipeline.adapters.local.disk import write_whole
from ml_pipeline.ports.registry import CHAMPION, ModelVersion

DATABASE = "mlflow.db"
_NOTE = "champion.json"
_SCHEMA_VERSION = 1
_ALIAS = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"


def read_champion_cache(state: Path, model: str) -> ModelVersion | None:
    """The model's champion, when the note of it is known to be current; else None.

    Args:
        state: the pipeline's own folder for this project.
        model: name of the registered model.
    """
    noted = _notes(state).get(model)
    if noted is None:
        return None
    try:
        version = _version(noted)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return version if version.version == _alias_in(state / DATABASE, model) else None


def noted_champion(state: Path, model: str) -> str | None:
    """The version that was champion when the note was written, without asking the database."""
    noted = _notes(state).get(model, {}).get("version")
    return noted if isinstance(noted, str) else None


def write_champion_cache(state: Path, champion: ModelVersion) -> None:
    """Note the champion; call it after the alias has moved.

    Raises:
        StorageError: it cannot be written.
    """
    _write(state, {**_notes(state), champion.model: _plain(champion)})


def clear_champion_cache(state: Path, model: str) -> None:
    """Take the note away; call it before the alias moves.

    Raises:
        StorageError: it cannot be written.
    """
    notes = _notes(state)
    if notes.pop(model, None) is not None:
        _write(state, notes)


def _notes(state: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads((state / _NOTE).read_text(encoding="utf-8"))
        notes = found["models"].items() if found["schema_version"] == _SCHEMA_VERSION else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {model: noted for model, noted in notes if isinstance(noted, dict)}


def _write(state: Path, notes: Mapping[str, Any]) -> None:
    text = json.dumps({"schema_version": _SCHEMA_VERSION, "models": notes}, indent=1)
    write_whole(state / _NOTE, text)


def _alias_in(database: Path, model: str) -> str | None:
    """The champion's version as the database has it; None when it cannot be asked."""
    if not database.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=1)) as base:
            row = base.execute(_ALIAS, (model, CHAMPION)).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _plain(version: ModelVersion) -> Mapping[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "uri": version.uri,
        "digest": version.digest,
        "run_id": version.run_id,
        "created_at": version.created_at.isoformat(),
        "metrics": dict(version.metrics),
        "tags": dict(version.tags),
        "aliases": sorted(version.aliases),
    }


def _version(noted: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        model=noted["model"],
        version=noted["version"],
        uri=noted["uri"],
        digest=noted["digest"],
        run_id=noted["run_id"],
        created_at=datetime.fromisoformat(noted["created_at"]),
        metrics={key: float(value) for key, value in noted["metrics"].items()},
        tags=dict(noted["tags"]),
        aliases=frozenset(noted["aliases"]),
    )
