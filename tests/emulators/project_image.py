"""A project's image as an emulated cloud starts it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ml_pipeline.domain.cloud_image import ENTRY, PYTHON
from tests.fakes.projects import write_files

_ABSENT = "import sys; sys.exit(f'exec: {sys.argv[1]}: nothing of the pipeline is there')"


def older_code(folder: Path) -> Path:
    """What an image has where the project's code is: that of an earlier commit, which fails."""
    return write_files(folder / "in-the-image", {"t.py": "raise SystemExit('the image trained')"})


def started(words: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """What runs here for a container's command; none is the image's entry point alone.

    The pipeline is in one Python of the image, so a command that names another one fails there
    and here.
    """
    program, *rest = [*(words or ENTRY), *options]
    if program != PYTHON:
        return [sys.executable, "-c", _ABSENT, program]
    return [sys.executable, *rest]
