"""Which script of the project a command starts, and with which of its command lines."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.settings.survey.layout import Layout
from ml_pipeline.settings.survey.options import CommandLine, spellings
from ml_pipeline.settings.survey.scripts import Script

_PYTHON = re.compile(r"python(\d+(\.\d+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A script of the project that a command starts.

    Args:
        script: what is started.
        given: the words after it.
        module: it is imported as a module, and not run as a file.
        line: of its command lines the one the words mean; None when that cannot be told.
    """

    script: Script
    given: Sequence[str]
    module: bool
    line: CommandLine | None

    @property
    def known(self) -> frozenset[str]:
        """Every spelling of an option that the command line takes."""
        if self.line is None:
            return frozenset()
        return frozenset(spellings((*self.line.options, *self.line.above)))


def started(argv: Sequence[str], found: Sequence[Script], layout: Layout) -> Started | None:
    """The project's own script behind a command; None when it starts none."""
    if _PYTHON.fullmatch(argv[0]) and len(argv) > 2 and argv[1] == "-m":
        paths, given = list(files_of(argv[2], layout)), argv[3:]
    elif _PYTHON.fullmatch(argv[0]) and len(argv) > 1:
        paths, given = [Path(argv[1])], argv[2:]
    elif argv[0] in layout.programs:
        module = layout.programs[argv[0]].partition(":")[0]
        paths, given = list(files_of(module, layout)), argv[1:]
    else:
        return None
    script = next((one for path in paths for one in found if one.path == path), None)
    if script is None:
        return None
    as_file = bool(_PYTHON.fullmatch(argv[0])) and argv[1] != "-m"
    line = _line(script.commands, given)
    return Started(script=script, given=given, module=not as_file, line=line)


def files_of(module: str, layout: Layout) -> Iterator[Path]:
    """Where the file of a module may lie, on the path Python has in the project's environment."""
    parts = module.split(".")
    for root in dict.fromkeys((".", *layout.roots)):
        yield Path(root, *parts).with_suffix(".py")
        yield Path(root, *parts, "__main__.py")
        yield Path(root, *parts, "__init__.py")


def _line(lines: Sequence[CommandLine], given: Sequence[str]) -> CommandLine | None:
    """The command line whose subcommands stand among the words, in their order."""
    fitting = [line for line in lines if _in_order(line.words, given)]
    return max(fitting, key=lambda line: len(line.words), default=None)


def _in_order(words: Sequence[str], given: Sequence[str]) -> bool:
    left = iter(given)
    return all(word in left for word in words)
