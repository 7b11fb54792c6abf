"""Command lines as a script's source declares them: one option's call, one record."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_pipeline.settings.survey.constants import called, constant, nodes, texts_of

_SPELLING = re.compile(r"-{0,2}[A-Za-z][\w-]*")
_FILES = frozenset({"Path", "File", "FileType", "PosixPath"})
_FLAGS = frozenset({"store_true", "store_false", "count", "BooleanOptionalAction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A command-line option or a positional argument.

    `name` is as it is typed, `also` its other spellings, `variable` what the script calls its
    value. `default` is a constant of the source, None when there is none; `reads` says that its
    value must be a file that is there.
    """

    name: str
    also: tuple[str, ...] = ()
    variable: str = ""
    default: object = None
    metavar: str = ""
    required: bool = False
    flag: bool = False
    closed: bool = False
    file: bool = False
    reads: bool = False

    @property
    def words(self) -> str:
        """The name alone, in lower case, with hyphens."""
        return self.name.lstrip("-").replace("_", "-").lower()

    @property
    def positional(self) -> bool:
        """Whether it is given by its place and not by its name."""
        return not self.name.startswith("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """One way to call a script: `words` are its subcommands, `above` the options before them.

    `whole` says whether every option was seen, `either` whether hyphens and underscores in names
    mean the same.
    """

    words: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    above: tuple[Option, ...] = ()
    whole: bool = True
    either: bool = False


def declared(call: ast.Call, known: Mapping[str, object]) -> Option | None:
    """The option that `add_argument`, `click.option` and their like declare; None for no name.

    Args:
        call: with the spellings as its first arguments.
        known: constants of the source, by name.
    """
    spelled = [part.strip() for text in texts_of(call.args) for part in text.split("/")]
    spelled = [text for text in spelled if _SPELLING.fullmatch(text)]
    dashed = [text for text in spelled if text.startswith("-")]
    names = sorted(dashed, key=lambda text: not text.startswith("--")) or spelled
    if not names:
        return None
    words = {word.arg: word.value for word in call.keywords if word.arg}
    plain = [text for text in spelled if dashed and not text.startswith("-")]
    stated = [text for text in (constant(words.get("dest"), known), *plain) if text]
    flag = _is_flag(call, words)
    return Option(
        name=names[0],
        also=tuple(names[1:]),
        variable=str(stated[0]) if stated else names[0].lstrip("-").replace("-", "_"),
        default=None if flag else constant(words.get("default"), known),
        metavar=str(constant(words.get("metavar"), known) or ""),
        required=_is_required(words, known, positional=not dashed),
        flag=flag,
        closed="choices" in words or _named(words.get("type")) == "Choice",
        file=_named(words.get("type")) in _FILES or _named(words.get("default")) in _FILES,
        reads=_reads(words.get("type")),
    )


def positions(tree: ast.AST) -> Sequence[Option]:
    """What a script takes from `sys.argv`, each by the name it gives it, or by what it is for."""
    found: dict[int, Option] = {}
    names = _names_of_values(tree)
    asked = _asked_for(tree)
    for node in nodes(tree):
        place = _argv_place(node)
        if place > 0:
            name = names.get(id(node), f"argv-{place}")
            required = id(node) not in asked
            found.setdefault(place, Option(name=name, variable=name, required=required))
    return [found[place] for place in sorted(found)]


def _asked_for(tree: ast.AST) -> frozenset[int]:
    """Identities of what stands below a look at how many arguments there are."""
    branches = [node for node in nodes(tree) if isinstance(node, ast.If | ast.IfExp)]
    return frozenset(
        id(inner)
        for branch in branches
        if "argv" in ast.unparse(branch.test)
        for part in (branch.body if isinstance(branch, ast.If) else [branch.body])
        for inner in ast.walk(part)
    )


def _names_of_values(tree: ast.AST) -> Mapping[int, str]:
    """Names by the identity of the expression that is assigned, or is read or written at once."""
    found: dict[int, str] = {}
    for node in nodes(tree):
        if isinstance(node, ast.Assign):
            found |= {id(node.value): one.id for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.Call) and node.args:
            does = called(node).partition("_")[0]
            if does in {"read", "scan", "to", "write", "sink"}:
                found[id(node.args[0])] = "data" if does in {"read", "scan"} else "output"
    return found


def spellings(options: Sequence[Option]) -> Iterator[str]:
    """Every way an option may be typed."""
    for option in options:
        yield from (option.name, *option.also)


def _argv_place(node: ast.AST) -> int:
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
        return 0
    place = node.slice.value
    is_argv = getattr(node.value, "attr", getattr(node.value, "id", "")) == "argv"
    return place if is_argv and isinstance(place, int) else 0


def _is_flag(call: ast.Call, words: Mapping[str, ast.expr]) -> bool:
    action = words.get("action")
    named = {str(constant(action, {})), _named(action)}
    paired = any(text.startswith("-") and "/" in text for text in texts_of(call.args))
    return paired or bool(named & _FLAGS) or constant(words.get("is_flag"), {}) is True


def _is_required(
    words: Mapping[str, ast.expr], known: Mapping[str, object], *, positional: bool
) -> bool:
    stated = constant(words.get("required"), known)
    if isinstance(stated, bool) or not positional:
        return stated is True
    return constant(words.get("nargs"), known) not in {"?", "*", -1} and "default" not in words


def _reads(kind: ast.expr | None) -> bool:
    if not isinstance(kind, ast.Call):
        return False
    told = {word.arg: constant(word.value, {}) for word in kind.keywords}
    if _named(kind) == "Path":
        return told.get("exists") is True
    mode = next(iter(texts_of(kind.args)), told.get("mode", "r"))
    return _named(kind) in _FILES and str(mode).startswith("r")


def _named(node: ast.expr | None) -> str:
    """The last name of `Path`, `click.Path(...)` and the like."""
    return called(node) if isinstance(node, ast.Call) else _last(node)


def _last(node: ast.expr | None) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))
