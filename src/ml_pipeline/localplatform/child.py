"""Runs a program that ends when its parent does: `python -m ml_pipeline.localplatform.child`.

The parent holds the write end of this process's standard input and never writes the last byte.
However the parent ends, also by `kill -9`, the system closes that end, reading returns, and this
process is gone. Unlike a death signal (`prctl`) this works on every POSIX system.
"""

import os
import runpy
import sys
import threading
from collections.abc import Callable


def until_parent_ends(poked: Callable[[], None]) -> None:
    """Call `poked` whenever the parent writes; end this process at once when it is gone."""
    try:
        while os.read(0, 4096):
            poked()
    finally:
        os._exit(0)


def main(argv: list[str]) -> None:
    """Run a module by its dotted name, or a file by its path, as if Python had been given it."""
    program, *arguments = argv
    watch = threading.Thread(target=until_parent_ends, args=(lambda: None,), daemon=True)
    watch.start()
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
