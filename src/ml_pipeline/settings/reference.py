"""docs/configuration.md, written from the policies: `python -m ml_pipeline.settings.reference`."""

import inspect
import json
import sys
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from ml_pipeline.settings import secrets
from ml_pipeline.settings.commands import COMMANDS
from ml_pipeline.settings.faults import dotted
from ml_pipeline.settings.given import PREFIX, variable
from ml_pipeline.settings.keys import Leaf, Path, Section, Table, field_at, leaves, meaning, root
from ml_pipeline.settings.profiles import ADAPTED, PROFILES, Platform

_HEAD = """# Configuration

<!-- Written by `python -m ml_pipeline.settings.reference`; a test holds it against the code. -->

A project is configured by `ml-pipeline.toml` in its folder, or by `[tool.ml-pipeline]` in its
`pyproject.toml` (then every section below is `[tool.ml-pipeline.SECTION]`); not by both.
`ml-pipeline init` writes the first version from what a project shows, `ml-pipeline doctor` says
what is missing to run, and `ml-pipeline config` shows every effective value and where it came
from. A folder whose configuration is only `source = "FOLDER"` redirects to a folder inside it.

The least that must be set: `model`, where the rows come from (`data.path` or `data.fetch`),
`data.target`, `data.features`, `train.command`, the metric with its ranges, and `gate.limit`.

## Which value wins

1. an option of the command line, such as `--cutoff-date`
2. `--set key=value`, the last one of a key: `--set load.rate_per_s=80`,
   `--set hyperparameters.max_depth=4`, `--set 'data.columns."trip time".min=0'`
3. an environment variable: two underscores part section and key, `ML_PIPELINE_LOAD__RATE_PER_S`;
   the platform is chosen by `ML_PLATFORM`
4. the file
5. the profile
6. the default

Values of `--set` and of variables are written as in TOML: `3`, `true`, `["a", "b"]`, and text
with or without quotes. Where only text is allowed everything is text: `environment.python=3.10`.
An empty variable is not set. Names a project chooses itself (hyperparameters, columns) are lower
case in a variable unless they hold a small letter; those of `environment.variables` stay as they
are. Tables are merged key by key, lists are replaced.

An unknown key or variable, a wrong type, an impossible value, an unknown placeholder in a command
or an empty gate stops everything before any work, with exit code 4 and all faults at once, one
line each: `where it stands: key: value: what is allowed`. A number in quotes is no number.
"""
_PROFILES = """
## Profiles

A profile is a set of defaults. Without a name it is `laptop` on the platform `local` and
`production` elsewhere.

"""
_SECRETS = """
## Secrets

Secrets come by environment only. They are no settings, and stand in no evidence, log or report.

"""
_COMMANDS = """
## Commands and their placeholders

A command is a list of words and runs without a shell, in the project's folder and environment.

"""


def page() -> str:
    """The whole text."""
    parts = [_HEAD, _PROFILES, *_profiles(), _SECRETS, *_secrets(), _COMMANDS, *_commands()]
    return "".join([*parts, *_sections()])


def _profiles() -> Iterator[str]:
    keys = list(dict.fromkeys(key for profile in PROFILES.values() for key in profile.defaults))
    yield _row("", *(f"`{name}`" for name in PROFILES)) + _row("---", *("---" for _ in PROFILES))
    yield _row("", *(profile.meaning for profile in PROFILES.values()))
    for key in keys:
        defaults = (profile.defaults.get(key) for profile in PROFILES.values())
        yield _row(f"`{key}`", *("" if value is None else f"{value:g}" for value in defaults))
    yield _row("waits run", *(f"{one.clock_scale:g} times as fast" for one in PROFILES.values()))


def _secrets() -> Iterator[str]:
    yield _row("variable", "what for") + _row("---", "---")
    for name, named in secrets.VARIABLES.items():
        yield _row(f"`{named}`", secrets.MEANINGS[name])


def _commands() -> Iterator[str]:
    yield _row("key", "must hold", "may hold") + _row("---", "---", "---")
    for command in COMMANDS:
        must, may = (
            ", ".join(f"`{{{name}}}`" for name in names) for names in (command.must, command.may)
        )
        yield _row(f"`{dotted(command.path)}`", must, may)


def _sections() -> Iterator[str]:
    tops = root().children
    scalars = [name for name, node in tops.items() if isinstance(node, Leaf)]
    yield "\n## Top of the file\n\n"
    yield from _table([(name,) for name in scalars])
    adapted = ", ".join(f"`{name}`" for name in sorted(ADAPTED))
    yield f"\nOf {len(Platform)} platforms these have adapters: {adapted}.\n"
    for name, node in tops.items():
        if isinstance(node, Section | Table):
            yield f"\n## `[{name}]`\n\n{_about((name,), node)}\n\n"
            yield from _table([path for path, _ in leaves(node, (name,))])


def _about(path: Path, node: Section | Table) -> str:
    if isinstance(node, Table):
        return f"{meaning(path).capitalize()}."
    text = inspect.getdoc(node.policy) or ""
    _, _, rest = text.partition(f"`[{path[0]}]`")
    about = rest.lstrip(": ") or text
    return about[0].upper() + about[1:]


def _table(paths: list[Path]) -> Iterator[str]:
    yield _row("key", "must be", "default", "meaning")
    yield _row("---", "---", "---", "---")
    for path in paths:
        leaf = dict(leaves())[path]
        named = f"`{dotted(path).replace(chr(34), '')}`<br>`{_variable(path)}`"
        yield _row(named, leaf.allowed, _default(path), meaning(path) or meaning(path[:-1]))


def _variable(path: Path) -> str:
    return (
        variable(path)
        if "<name>" not in path
        else PREFIX + "__".join(part if part == "<name>" else part.upper() for part in path)
    )


def _default(path: Path) -> str:
    field = field_at(path)
    if field is None:
        return ""
    return "**required**" if field.is_required() else _default_value(field)


def _default_value(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "" if value is None else f"`{json.dumps(value)}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
