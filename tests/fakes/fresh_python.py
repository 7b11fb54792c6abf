"""Python as a new process has it, whatever the tests before this one have imported or set."""

import os
import subprocess
import sys

#: What a process needs to find its programs and write its files; nothing that chooses a cloud.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


def said(code: str) -> str:
    """What the code prints; its traceback is the failure's message."""
    ours = os.environ  # noqa: TID251 - a test stands where a person would
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={key: ours[key] for key in _KEPT if key in ours},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
