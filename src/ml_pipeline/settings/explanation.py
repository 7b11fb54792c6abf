"""What `ml-pipeline config` shows: every effective value and where it came from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings.faults import Fault, dotted, shown
from ml_pipeline.settings.given import key_of, unknown
from ml_pipeline.settings.keys import find
from ml_pipeline.settings.model import Configuration, Settings

DEFAULT = "default"
_UNSET = "(not set)"


class Row(NamedTuple):
    """One key."""

    key: str
    value: str
    origin: str


def explain(settings: Settings) -> Sequence[Row]:
    """Every key with its value as TOML would write it and its origin, in the configuration's order.

    Of what the project names itself, such as `[data.columns]`, only what is set is listed.
    """
    found = []
    for name in Configuration.model_fields:
        for path, value, free in _leaves((name,), getattr(settings, name)):
            origin = settings.origins.get(dotted(path), DEFAULT)
            if not (free and origin == DEFAULT):
                found.append(Row(dotted(path), value, origin))
    return found


def chosen(rows: Sequence[Row], key: str) -> Sequence[Row]:
    """Of the rows those at and below a key.

    Raises:
        ConfigurationError: there is no such key, or it is the project's to name and not set.
    """
    path = key_of(key)
    name = dotted(path)
    found = [row for row in rows if row.key == name or row.key.startswith(f"{name}.")]
    if found:
        return found
    if path and find(path) is None:
        fault = unknown(path, "")
    else:
        fault = Fault(origin="", key=name or key, message="is not set" if path else "is no key")
    raise ConfigurationError(
        str(fault), remedy="Name a key as `ml-pipeline config` lists it, such as gate.limit."
    )


def _leaves(
    path: tuple[str, ...], value: object, *, free: bool = False
) -> Iterator[tuple[tuple[str, ...], str, bool]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*path, name), getattr(value, name), free=free)
    elif isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves((*path, str(name)), below, free=True)
    else:
        yield path, _UNSET if value is None else shown(path, value, whole=True), free
