"""Faults of a configuration: one line each, all of them in one error, no secret shown."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ml_pipeline.domain.errors import ConfigurationError

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s\"]+@")
_SHOWN_CHARACTERS = 80
_HIDDEN = "(hidden)"
_REMEDY = "Correct what is named above; `ml-pipeline config` shows every effective value."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Args:
        origin: the file, environment variable or option it stands in.
        key: dotted; empty when no single key is to blame.
        value: as `shown`; empty when it says nothing.
        message: what is allowed.
        remedy: where this fault has one of its own.
    """

    origin: str
    message: str
    key: str = ""
    value: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """The line a user reads."""
        return ": ".join(part for part in (self.origin, self.key, self.value, self.message) if part)


def error(faults: Iterable[Fault]) -> ConfigurationError:
    """All faults as one error, each line once."""
    listed = list(faults)
    lines = dict.fromkeys(str(fault) for fault in listed)
    remedy = next((fault.remedy for fault in listed if fault.remedy), _REMEDY)
    return ConfigurationError("\n".join(lines), remedy=remedy)


def dotted(path: Sequence[str | int]) -> str:
    """A path as it is written in TOML and after `--set`; positions in a list in brackets.

    >>> dotted(("data", "columns", "a b", "min")), dotted(("rollout", "steps_pct", 0))
    ('data.columns."a b".min', 'rollout.steps_pct[0]')
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE.fullmatch(part) else quoted(part)
        text += f".{name}" if text else name
    return text


def quoted(text: str) -> str:
    """A text as a TOML string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def shown(path: Sequence[str | int], value: object, *, whole: bool = False) -> str:
    """A value as it may be shown: without what may be a secret, and short unless `whole`."""
    if tuple(path[:2]) == ("environment", "variables"):
        return _HIDDEN
    if isinstance(value, tuple):
        value = list(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = _CREDENTIALS.sub("***@", text)
    return text if whole or len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A half-sentence that names the nearest known word, empty when none is near.

    >>> did_you_mean("toleranse", ["rule", "tolerance"])
    "; did you mean 'tolerance'?"
    """
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
