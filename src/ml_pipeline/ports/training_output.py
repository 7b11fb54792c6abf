"""What a training leaves in `{output}`: plain files, read without ever waiting for one."""

import os
import stat
from pathlib import Path

from ml_pipeline.domain.errors import DataError

#: A metrics file is read whole; real ones are a few hundred bytes.
MAX_METRICS_BYTES = 1 << 20
NOTHING = "nothing"


def what_was_left(output: Path, name: str) -> str:
    """Empty for a plain file `name` in the folder; else what is there instead, in a few words.

    A link counts as what it leads to, as long as that lies in the folder too.
    """
    place = output / name
    try:
        if not os.path.lexists(place):
            return NOTHING
        path = place.resolve(strict=True)
        mode = path.stat().st_mode
    except (OSError, RuntimeError):  # Python below 3.13 tells of a circle by RuntimeError
        return "a link that leads nowhere or in a circle"
    if not path.is_relative_to(output.resolve()):
        return "a path that leads out of {output}"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "" if stat.S_ISREG(mode) else "a pipe, a socket or a device"


def require_file(output: Path, name: str, *, where: str) -> Path:
    """The plain file itself, links followed.

    Args:
        output: the folder the training wrote to.
        name: path of the file below it.
        where: whose output it is, for the message.

    Raises:
        DataError: it is not there, or something else is.
    """
    found = what_was_left(output, name)
    if found:
        raise DataError(
            f"{where} left {found} as {name!r} in {{output}}, where a file is expected",
            remedy="Let the training write one plain file of that name.",
        )
    return (output / name).resolve()


def metrics_text(output: Path, name: str, *, where: str) -> bytes:
    """Content of the metrics file; arguments as of `require_file`.

    Raises:
        DataError: it is not there, no plain file, not readable, or too long to be metrics.
    """
    path = require_file(output, name, where=where)
    try:
        # without waiting, should a pipe have come in its place
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            content = file.read(MAX_METRICS_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"{where} left {name!r} in {{output}}, which cannot be read: {error.strerror}",
            remedy="Let the training write it readable for its own user.",
        ) from error
    if len(content) > MAX_METRICS_BYTES:
        raise DataError(
            f"{where} left {name!r} in {{output}} with more than {MAX_METRICS_BYTES} bytes,"
            " which are no metrics",
            remedy="Let the training write names and numbers there, and what is long elsewhere.",
        )
    return content
