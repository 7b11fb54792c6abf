"""The file behind the platform's state: transactions, single values, events."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError

SCHEMA = 1
#: Events kept; about a year of releases, and less than 2 MB.
EVENTS_KEPT = 10_000

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deployments (
  endpoint TEXT, slot TEXT, model TEXT, version TEXT, digest TEXT, package TEXT, chaos TEXT,
  trusted_types TEXT, since_s REAL, port INTEGER, phase TEXT, reason TEXT,
  PRIMARY KEY (endpoint, slot));
CREATE TABLE IF NOT EXISTS weights (slot TEXT PRIMARY KEY, share INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS lease (
  id INTEGER PRIMARY KEY CHECK (id = 1), run_id TEXT, fallback TEXT, lease_s REAL,
  deadline_s REAL, state TEXT);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, kind TEXT NOT NULL, detail TEXT);
"""


class Database:
    """An SQLite file that several processes read and write (WAL), each by its own connection.

    Raises:
        ConfigurationError: the file was written by another version of this program.
    """

    def __init__(self, path: Path) -> None:
        # One connection is handed between threads, never used by two at once.
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        # A weight that was acknowledged must survive a power cut; FULL syncs on every commit.
        self._db.execute("PRAGMA synchronous=FULL")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, SCHEMA}:
            self.close()
            raise ConfigurationError(
                f"{path} has state of format {found}, and this program reads {SCHEMA}",
                remedy="Use the version that wrote it, or choose another state folder.",
            )
        self._db.executescript(_TABLES)
        self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _changed(self) -> None:
        self._db.execute(
            "INSERT INTO meta VALUES ('generation', '1') "
            "ON CONFLICT (key) DO UPDATE SET value = value + 1"
        )

    def meta(self, key: str) -> str | None:
        """A single kept value, None when it was never set."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a single value."""
        with self._writing():
            self._db.execute("REPLACE INTO meta VALUES (?, ?)", (key, value))

    def note(self, kind: str, now_s: float, detail: Mapping[str, object]) -> None:
        """Record an event."""
        with self._writing():
            self._note(kind, now_s, detail)

    def _note(self, kind: str, now_s: float, detail: Mapping[str, object]) -> None:
        added = self._db.execute(
            "INSERT INTO events (at_s, kind, detail) VALUES (?, ?, ?)",
            (now_s, kind, json.dumps(dict(detail))),
        )
        oldest = (added.lastrowid or 0) - EVENTS_KEPT
        self._db.execute("DELETE FROM events WHERE id <= ?", (oldest,))

    def events(self, after: int, limit: int) -> list[dict[str, object]]:
        """Events with a higher id than `after`, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [
            {"id": r["id"], "at_s": r["at_s"], "kind": r["kind"], "detail": json.loads(r["detail"])}
            for r in rows
        ]
