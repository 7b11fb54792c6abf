"""`python -m ml_pipeline.entry train|serve …`: an image's one entry point.

SageMaker starts a container with the one word `train` or `serve` and leaves no other choice.
"""

import sys
from importlib import import_module

from ml_pipeline.domain.errors import ExitCode

_PROGRAMS = ("train", "serve")


def main() -> int:
    """Run the program the first word names, with the others."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in _PROGRAMS:
        print(f"error: the first word is train or serve, not {name!r}", file=sys.stderr)  # noqa: T201
        return ExitCode.CONFIGURATION
    return int(import_module(f"ml_pipeline.entry.{name}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
