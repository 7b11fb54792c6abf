"""MLflow databases for tests: made once, copied often, damaged on purpose."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.champion_cache import DATABASE
from ml_pipeline.adapters.local.registry import MlflowRegistry
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path


def template(state: Path) -> Path:
    """An empty database; MLflow takes seconds to make one."""
    MlflowRegistry(state, FakeClock()).versions("none")
    return state / DATABASE


def fresh(made: Path, state: Path) -> None:
    """A copy of an empty database where a registry looks for its own."""
    state.mkdir(parents=True)
    with (
        closing(sqlite3.connect(made)) as source,
        closing(sqlite3.connect(state / DATABASE)) as target,
    ):
        target.execute("PRAGMA journal_mode = WAL")
        source.backup(target)


def damage(state: Path) -> None:
    """Garbage where the database was."""
    for path in state.glob(f"{DATABASE}*"):
        path.unlink()
    (state / DATABASE).write_bytes(b"no database " * 1000)
