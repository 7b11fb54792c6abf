"""What was given, where: environment variables, `--set`, and tables of a file, key by key."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from ml_pipeline.settings import secrets
from ml_pipeline.settings.faults import Fault, did_you_mean, dotted, shown
from ml_pipeline.settings.keys import Leaf, Path, Section, Table, find, leaves
from ml_pipeline.settings.toml import OutsizeError, parsed

PREFIX = "ML_PIPELINE_"
PLATFORM = "ML_PLATFORM"
_VARIABLES_HINT = "; variables are named ML_PIPELINE_SECTION__KEY"
#: Variables with our prefix that are no settings: secrets, and the mark on our own children.
NO_SETTINGS = frozenset({*secrets.VARIABLES.values(), "ML_PIPELINE_PROCESS"})


@dataclass(frozen=True, slots=True)
class Given:
    """One value, the key it is for, and where it stands."""

    path: Path
    value: object
    origin: str


@dataclass(slots=True)
class Reading:
    """What one source gave, and what is wrong with it."""

    given: list[Given] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def take(self, path: Path, value: object, origin: str) -> None:
        """Keep a value by its single keys; an unknown key or a value for a table is a fault."""
        node = find(path)
        if node is None:
            self.faults.append(unknown(path, origin))
        elif isinstance(node, Leaf):
            self.given.append(Given(path, value, origin))
        elif isinstance(value, Mapping):
            for name, below in value.items():
                self.take((*path, str(name)), below, origin)
        else:
            allowed = f"must be a table: [{dotted(path)}]"
            self.faults.append(
                Fault(origin=origin, key=dotted(path), value=shown(path, value), message=allowed)
            )


def from_table(table: Mapping[str, object], origin: str) -> Reading:
    """The keys of a configuration file."""
    reading = Reading()
    reading.take((), table, origin)
    return reading


def from_sets(sets: Sequence[str]) -> Reading:
    """The keys of `--set key=value`: a TOML key, then a TOML value or plain text."""
    reading = Reading()
    for text in sets:
        path, value = split_set(text)
        if not path:
            allowed = "must be KEY=VALUE, with a dotted key such as load.rate_per_s"
            reading.faults.append(Fault(origin="--set", value=shown((), text), message=allowed))
        else:
            _take_text(reading, path, value, "--set")
    return reading


def from_environment(environ: Mapping[str, str]) -> Reading:
    """The keys of `ML_PIPELINE_SECTION__KEY` and `ML_PLATFORM`; empty variables are not set."""
    reading = Reading()
    for name in sorted(environ):
        ours = name == PLATFORM or (name.startswith(PREFIX) and name not in NO_SETTINGS)
        if not ours or not environ[name].strip():
            continue
        path = _path_of(name)
        if find(path) is None or variable(path) in {PLATFORM} - {name}:
            reading.faults.append(_unknown_variable(name))
        else:
            _take_text(reading, path, environ[name].strip(), name)
    return reading


def _take_text(reading: Reading, path: Path, text: str, origin: str) -> None:
    try:
        reading.take(path, parse(path, text), origin)
    except OutsizeError as outsize:
        reading.faults.append(Fault(origin=origin, key=dotted(path), message=str(outsize)))


def variable(path: Path) -> str:
    """The environment variable that sets a key.

    >>> variable(("load", "rate_per_s"))
    'ML_PIPELINE_LOAD__RATE_PER_S'
    """
    return PLATFORM if path == ("platform",) else PREFIX + "__".join(path).upper()


def parse(path: Path, text: str) -> object:
    """The value a text stands for, given what its key allows.

    Where only text is allowed it is taken as it stands (`3.10` is no number then), unless
    quoted as in TOML. Elsewhere it is a TOML value, or plain text when it is none.

    Raises:
        OutsizeError: it is nested too deeply, or holds too long a number.
    """
    node = find(path)
    only_text = isinstance(node, Leaf) and node.is_text
    try:
        read = parsed(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    except OutsizeError:
        if only_text:
            return text
        raise
    if set(read) != {"value"} or (only_text and not isinstance(read["value"], str)):
        return text
    return read["value"]


def split_set(text: str) -> tuple[Path, str]:
    """Key and value of `key=value`; no key when it has none. A quoted key may hold `=`."""
    position = text.find("=")
    while position >= 0:
        path = key_of(text[:position].strip())
        if path:
            return path, text[position + 1 :].strip()
        position = text.find("=", position + 1)
    return (), ""


def key_of(text: str) -> Path:
    """The path of a dotted key as TOML writes it; empty for what is no key."""
    if "\n" in text or not text:
        return ()
    try:
        node: object = parsed(f"{text} = 0")
    except (tomllib.TOMLDecodeError, OutsizeError):
        return ()
    path: list[str] = []
    while isinstance(node, dict) and len(node) == 1:
        ((name, node),) = node.items()
        path.append(name)
    return tuple(path) if node == 0 else ()


def _path_of(name: str) -> Path:
    """The key of a variable: lower case, but a name the project chose keeps its lower case."""
    if name == PLATFORM:
        return ("platform",)
    path: Path = ()
    for part in name.removeprefix(PREFIX).split("__"):
        own = isinstance(find(path), Table)
        keep = path == ("environment", "variables") or (own and part != part.upper())
        path = (*path, part if keep else part.lower())
    return path


def _unknown_variable(name: str) -> Fault:
    known = {*secrets.VARIABLES.values(), *(variable(path) for path, _ in leaves())}
    endings = {one.removeprefix(PREFIX): one for one in known if one.startswith(PREFIX)}
    near = get_close_matches(name.removeprefix(PREFIX), endings, n=1)
    hint = f"; did you mean {endings[near[0]]!r}?" if near else _VARIABLES_HINT
    if name == "ML_PIPELINE_PLATFORM":
        hint = f"; did you mean {PLATFORM!r}?"
    return Fault(origin=name, message=f"unknown variable{hint}")


def unknown(path: Path, origin: str) -> Fault:
    """The fault of a key that does not exist: the nearest one, or what is allowed there."""
    depth = next(size for size in range(1, len(path) + 1) if find(path[:size]) is None)
    above = find(path[: depth - 1])
    word = path[depth - 1]
    if not isinstance(above, Section):
        allowed = f"{dotted(path[: depth - 1])} has one value and no keys below it"
        return Fault(origin=origin, key=dotted(path), message=allowed)
    hint = did_you_mean(word, above.children) or _elsewhere(word)
    allowed = f"; allowed here: {', '.join(above.children)}"
    return Fault(origin=origin, key=dotted(path[:depth]), message=f"unknown key{hint or allowed}")


def _elsewhere(word: str) -> str:
    places: Iterator[str] = (dotted(path) for path, _ in leaves() if path[-1] == word)
    found = list(places)
    return f"; did you mean {' or '.join(map(repr, found))}?" if found else ""
