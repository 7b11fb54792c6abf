"""`python -m ml_pipeline.entry train|serve …`: an image's one entry point.

SageMaker starts a container with the one word `train` or `serve` and leaves no other choice; Azure
ML starts a deployment with no word at all. Without one the cloud's own variables choose.
"""

import os
import sys
from importlib import import_module

from ml_pipeline.domain.errors import ExitCode
from ml_pipeline.entry.layouts import program_of

_PROGRAMS = ("train", "serve")


def main() -> int:
    """Run the program the first word names, or the cloud's variables do, with the other words."""
    words = sys.argv[1:]
    if words and not words[0].startswith("-"):
        name, *words = words
        fault = f"the first word is train or serve, not {name!r}"
    else:
        name = program_of(os.environ) or ""  # noqa: TID251 - a container's program reads it
        fault = "neither the first word nor a variable of a cloud says train or serve"
    if name not in _PROGRAMS:
        print(f"error: {fault}", file=sys.stderr)  # noqa: T201
        return ExitCode.CONFIGURATION
    return int(import_module(f"ml_pipeline.entry.{name}").main(words))


if __name__ == "__main__":
    sys.exit(main())
