"""The wall clock of these processes; each is a server of its own and outlives the run's Clock."""

import time
from datetime import UTC, datetime


def wall_s() -> float:
    """Seconds since 1970, as leases and traffic records keep them across restarts."""
    return time.time()  # noqa: TID251 - no Clock port reaches into a server process


def as_text(at_s: float) -> str:
    """The same instant in ISO 8601, UTC."""
    return datetime.fromtimestamp(at_s, tz=UTC).isoformat()
