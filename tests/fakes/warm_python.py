"""A Python that has scikit-learn and the converters loaded already, and forks to run a program.

Reads one JSON line a program (`argv`, `cwd`, `log`), answers its exit code on a line. Loading the
libraries takes seconds, and the suite runs dozens of such programs.
"""

import json
import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Serve until standard input ends."""
    for module in ("pandas", "skl2onnx", "skl2onnx.sklapi", "sklearn.ensemble", "skops.io"):
        __import__(module)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(asked)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(asked: dict) -> None:
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(asked["cwd"])
    script = asked["argv"][0]
    sys.argv = asked["argv"]
    sys.path[0] = str(Path(script).resolve().parent)
    code = 1
    try:
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as Python itself ends a program
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
