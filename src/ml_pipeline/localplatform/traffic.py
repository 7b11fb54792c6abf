"""What users of each slot saw, request by request, for an hour."""

import sqlite3
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

#: Traffic is kept for an hour and a bit: 9 bytes a request, 16 MB an hour at 500 requests/s.
KEPT_S = 4000.0
#: Longest latency an entry holds, in microseconds (71 minutes).
_LONGEST_US = 2**32 - 1

_TABLES = """
CREATE TABLE IF NOT EXISTS chunks (
  slot TEXT NOT NULL, first_s REAL NOT NULL, last_s REAL NOT NULL,
  offsets_us BLOB NOT NULL, latencies_us BLOB NOT NULL, kinds BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON chunks (slot, last_s);
CREATE TABLE IF NOT EXISTS progress (id INTEGER PRIMARY KEY CHECK (id = 1), through_s REAL);
"""


class Kind(IntEnum):
    """What became of a request."""

    OK = 0
    ERROR = 1
    #: refused by the model server as the client's own fault (4xx): says nothing of the model
    CLIENT_ERROR = 2


@dataclass(slots=True)
class Chunk:
    """Requests of one slot that ended within a fraction of a second."""

    slot: str
    first_s: float
    last_s: float = 0.0
    offsets_us: "array[int]" = field(default_factory=lambda: array("I"))
    latencies_us: "array[int]" = field(default_factory=lambda: array("I"))
    kinds: bytearray = field(default_factory=bytearray)

    def add(self, at_s: float, latency_s: float, kind: Kind) -> None:
        """Add a request that ended at `at_s`; times never go back within a chunk."""
        self.last_s = max(self.last_s, at_s, self.first_s)
        self.offsets_us.append(round((self.last_s - self.first_s) * 1e6))
        self.latencies_us.append(min(round(latency_s * 1e6), _LONGEST_US))
        self.kinds.append(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One slot's window; `p99_ms` is None when there was no request.

    `requests` leaves `client_errors` out. `as_of_s`: everything that ended before is in.
    """

    requests: int
    errors: int
    client_errors: int
    slow: int
    p99_ms: float | None
    as_of_s: float


class Recorder:
    """Collects requests in the router until they are written.

    Args:
        wall_s: the wall clock.
    """

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._open: dict[str, Chunk] = {}
        self._taken: list[Chunk] = []

    def add(self, slot: str, latency_s: float, kind: Kind) -> None:
        """Record a request that has just ended."""
        now_s = self._wall_s()
        chunk = self._open.get(slot)
        if chunk is None:
            chunk = self._open[slot] = Chunk(slot, now_s)
        chunk.add(now_s, latency_s, kind)

    def take(self) -> tuple[list[Chunk], float]:
        """What was collected and not yet written, and until when that is everything.

        It is offered again by the next call unless `written` comes in between.
        """
        self._taken.extend(self._open.values())
        self._open = {}
        return list(self._taken), self._wall_s()

    def written(self) -> None:
        """What `take` gave last is safe."""
        self._taken.clear()


class TrafficStore:
    """Traffic in SQLite, apart from the state: written by the router, read by the supervisor."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # Survives the death of any process; a power cut may cost the last moments.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def write(self, chunks: Iterable[Chunk], through_s: float) -> None:
        """Keep chunks; everything that ended before `through_s` has now been written."""
        rows = [
            (c.slot, c.first_s, c.last_s, bytes(c.offsets_us), bytes(c.latencies_us), c.kinds)
            for c in chunks
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("REPLACE INTO progress VALUES (1, ?)", (through_s,))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def forget(self, before_s: float) -> None:
        """Drop what ended before."""
        self._db.execute("DELETE FROM chunks WHERE last_s < ?", (before_s,))

    def window(self, slot: str, start_s: float, end_s: float, slow_ms: float) -> Figures:
        """What the slot did in `[start_s, end_s)`, counted by when each request ended."""
        progress = self._db.execute("SELECT through_s FROM progress").fetchone()
        rows = self._db.execute(
            "SELECT first_s, last_s, offsets_us, latencies_us, kinds FROM chunks "
            "WHERE slot = ? AND last_s >= ? AND first_s < ?",
            (slot, start_s, end_s),
        )
        latencies: array[int] = array("I")
        kinds = bytearray()
        for first_s, last_s, offsets, took, kind in rows:
            chunk = Chunk(slot, first_s, last_s, _numbers(offsets), _numbers(took), bytearray(kind))
            inside = _within(chunk, start_s, end_s)
            latencies.extend(chunk.latencies_us[inside])
            kinds.extend(chunk.kinds[inside])
        return _figures(latencies, kinds, slow_ms, 0.0 if progress is None else progress[0])


def _numbers(blob: bytes) -> "array[int]":
    numbers = array("I")
    numbers.frombytes(blob)
    return numbers


def _within(chunk: Chunk, start_s: float, end_s: float) -> slice:
    """The part of a chunk that ended in `[start_s, end_s)`; its offsets never go back."""
    low = bisect_left(chunk.offsets_us, (start_s - chunk.first_s) * 1e6)
    high = bisect_left(chunk.offsets_us, (end_s - chunk.first_s) * 1e6)
    return slice(low, high)


def _figures(took: "array[int]", kinds: bytearray, slow_ms: float, as_of_s: float) -> Figures:
    client_errors = kinds.count(Kind.CLIENT_ERROR)
    if client_errors:
        counted = sorted(
            us for us, kind in zip(took, kinds, strict=True) if kind != Kind.CLIENT_ERROR
        )
    else:
        counted = sorted(took)
    rank = -(-99 * len(counted) // 100)  # nearest rank: a latency somebody really waited
    return Figures(
        requests=len(counted),
        errors=kinds.count(Kind.ERROR),
        client_errors=client_errors,
        slow=len(counted) - bisect_left(counted, slow_ms * 1000),
        p99_ms=counted[rank - 1] / 1000 if counted else None,
        as_of_s=as_of_s,
    )
