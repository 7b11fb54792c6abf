"""Which placeholders the project's commands may and must hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_pipeline.domain.commands import placeholders
from ml_pipeline.settings.faults import did_you_mean
from ml_pipeline.settings.keys import Path


@dataclass(frozen=True, slots=True)
class Command:
    """A key that holds one command, or a list of them; `may` are the placeholders beside `must`."""

    path: Path
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


COMMANDS: tuple[Command, ...] = (
    Command(("data", "fetch"), must=("output",), may=("cutoff",)),
    Command(("data", "prepare"), must=("input", "output")),
    Command(("data", "generate"), must=("output", "rows"), may=("seed",)),
    Command(("checks", "lint")),
    Command(("checks", "unit_test"), may=("junit", "coverage")),
    Command(("train", "command"), must=("data", "output")),
    Command(("package", "export"), must=("model", "output")),
    Command(("staging", "integration_test"), must=("endpoint",), may=("samples",)),
)
Argv = Sequence[str]


def argvs(section: object, key: str) -> Sequence[tuple[tuple[int, ...], Argv]]:
    """The commands under a key of a section, each with its position in a list of commands."""
    value: tuple[str | Argv, ...] = getattr(section, key) or ()
    if value and not isinstance(value[0], str):
        return [((position,), list(argv)) for position, argv in enumerate(value)]
    return [((), [str(word) for word in value])] if value else []


def each(
    sections: Mapping[str, object],
) -> Iterator[tuple[Command, tuple[str | int, ...], Argv]]:
    """Every command of the sections that are there: its rule, its key and its words."""
    for command in COMMANDS:
        section, key = command.path
        if section in sections:
            for position, argv in argvs(sections[section], key):
                yield command, (*command.path, *position), argv


def complaints(command: Command, argv: Argv) -> Iterator[str]:
    """What is wrong with a command's placeholders and its program."""
    allowed = (*command.must, *command.may)
    used = placeholders(argv)
    for name in sorted(used - set(allowed)):
        hint = did_you_mean(name, allowed) or f"; {_listed(allowed)} stand for something here"
        yield f"unknown placeholder {{{name}}}{hint}"
    for name in command.must:
        if name not in used:
            yield f"must hold {{{name}}}"
    if not argv[0].strip() or argv[0].startswith(("-", "{")):
        yield "must begin with a program"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names) or "no names"
