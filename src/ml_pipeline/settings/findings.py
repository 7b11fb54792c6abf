"""What `ml-pipeline doctor` reports."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """`fail`: a run cannot work; `warn`: it may not do what is wanted."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at; `remedy` is one imperative sentence, empty when all is well."""

    level: Level
    subject: str
    message: str
    remedy: str = ""


def ok(subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(level=Level.OK, subject=subject, message=message)


def warn(subject: str, message: str, remedy: str) -> Finding:
    """It may not do what is wanted."""
    return Finding(level=Level.WARN, subject=subject, message=message, remedy=remedy)


def fail(subject: str, message: str, remedy: str) -> Finding:
    """A run cannot work."""
    return Finding(level=Level.FAIL, subject=subject, message=message, remedy=remedy)
