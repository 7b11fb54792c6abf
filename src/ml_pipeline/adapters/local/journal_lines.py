"""Lines of a journal, some of which a crash or a person may have damaged."""

import json
from pathlib import Path

from pydantic import JsonValue

from ml_pipeline.domain.errors import DataError


def journal_lines(path: Path) -> list[dict[str, JsonValue] | None]:
    """Every line of a journal, None for one that cannot be read.

    Raises:
        DataError: the file cannot be opened.
    """
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}",
            remedy="Allow reading it, or remove that run's folder.",
        ) from error
    return [event_in(line) for line in text.splitlines() if line]


def event_in(line: str) -> dict[str, JsonValue] | None:
    """The event a line holds, None for what is no event."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):  # also a number or a nesting beyond what Python reads
        return None
    named = isinstance(found, dict) and isinstance(found.get("event"), str)
    return found if named else None
