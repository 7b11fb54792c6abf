"""Scripts without a command line, whose paths stand in the source: how to run them all the same."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from ml_pipeline.settings.survey.scripts import Script

DOUBT = (
    "the script takes no paths: it is run in {output}, with the rows where it looks for them;"
    " give it two options, or see that it needs no other file of the project"
)


def is_fixed(script: Script) -> bool:
    """Whether it takes nothing from its command line, and reads a table at a path of its own."""
    return not script.options and _table(script) is not None


def place_of(script: Script, name: str) -> str:
    """The path, below where it is run, at which a script leaves a file of this name."""
    texts = (PurePosixPath(text) for text in script.texts if text.endswith(name))
    return next((str(path) for path in texts if path.name == name and _inside(path)), name)


def command(script: Script, launch: Sequence[str], files: Sequence[str]) -> Sequence[str]:
    """The script run in `{output}`: what it writes stays there, and no file of the project changes.

    Args:
        script: one that `is_fixed`.
        launch: how it is started, `python` and its file.
        files: what it leaves, where it leaves it; a report of metrics last, none when it writes
            none: then how it ended is all that is told.
    """
    table = _table(script)
    folders = {PurePosixPath(path).parent for path in (str(table), *files)} - {PurePosixPath()}
    made = " ".join(f'"$1/{folder}"' for folder in sorted(folders)) or '"$1"'
    program = " ".join((*launch[:-1], f'"$from/{launch[-1]}"'))
    words = f'from=$PWD && mkdir -p {made} && cp "$0" "$1/{table}" && cd "$1" && {program}'
    if len(files) == 1:
        words += """ && echo "{\\"exit_code\\": $?}" > metrics.json"""
    return ["sh", "-c", words, "{data}", "{output}"]


def _table(script: Script) -> PurePosixPath | None:
    paths = (PurePosixPath(path) for path in script.flows.tables)
    return next((path for path in paths if _inside(path)), None)


def _inside(path: PurePosixPath) -> bool:
    plain = not set(str(path)) & set('"$`\\{}')
    return plain and not path.is_absolute() and ".." not in path.parts
