"""A project's image as an emulated cloud starts it."""

import sys
from collections.abc import Sequence

from ml_pipeline.domain.cloud_image import ENTRY, PYTHON

_ABSENT = "import sys; sys.exit(f'exec: {sys.argv[1]}: nothing of the pipeline is there')"


def started(words: Sequence[str], options: Sequence[str] = ()) -> list[str]:
    """What runs here for a container's command; none is the image's entry point alone.

    The pipeline is in one Python of the image, so a command that names another one fails there
    and here.
    """
    program, *rest = [*(words or ENTRY), *options]
    if program != PYTHON:
        return [sys.executable, "-c", _ABSENT, program]
    return [sys.executable, *rest]
