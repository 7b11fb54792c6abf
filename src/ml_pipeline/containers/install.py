"""Runs an installation in a container, so that its failure is not taken for a verdict.

pip and uv end with 1 and 2, which here mean a bug and "no improvement". This program ends with 4
when what was asked for cannot be had and with 7 when the index did not answer, and says which
in one sentence. It runs before anything is installed: standard library only.

    python install.py WHAT COMMAND...
    python install.py --compiler
"""

import platform
import re
import shutil
import subprocess
import sys

CONFIGURATION, UNAVAILABLE = 4, 7
_UNREACHABLE = re.compile(
    r"error sending request|Failed to fetch|Request failed after|dns error|tcp connect error"
    r"|timed out|[Cc]onnection (?:refused|reset|closed|broken|aborted)|Name or service not known"
    r"|Temporary failure|HTTP status server error|Max retries exceeded"
)
_SAID_NO = re.compile(r"HTTP status client error|40[134] (?:Client Error|Unauthorized|Forbidden)")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")


def install(what: str, command: list[str]) -> int:
    """Run the command; 0, 4 or 7, and a sentence when it failed."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError as error:
        return _told(what, f"{command[0]}: {error.strerror}", CONFIGURATION)
    sys.stdout.write(done.stdout)
    if done.returncode == 0:
        return 0
    again = _UNREACHABLE.search(done.stdout) and not _SAID_NO.search(done.stdout)
    code = UNAVAILABLE if again or _DISK_FULL.search(done.stdout) else CONFIGURATION
    return _told(what, _reason(done.stdout), code)


def compiler(machine: str) -> int:
    """See to a C compiler where one is needed: hdrhistogram has wheels for x86 alone.

    Args:
        machine: as `platform.machine()` names it.
    """
    if machine in {"x86_64", "AMD64"} or shutil.which("gcc"):
        return 0
    words = ["apt-get", "install", "-y", "--no-install-recommends", "gcc", "libc6-dev"]
    return install("a C compiler", ["apt-get", "update"]) or install("a C compiler", words)


def _reason(printed: str) -> str:
    """The first line with uv's or pip's own word for it, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"(error|ERROR|E|\u00d7)\W", line)]
    return (named or lines[-1:] or ["it said nothing"])[0]


def _told(what: str, reason: str, code: int) -> int:
    remedy = {
        CONFIGURATION: "Check the base image, the package index and what is asked of it.",
        UNAVAILABLE: "Check the network, the package index and the disk, then try again.",
    }[code]
    sys.stderr.write(f"error: {what} could not be installed: {reason}\n  {remedy}\n")
    return code


if __name__ == "__main__":
    if sys.argv[1:] == ["--compiler"]:
        sys.exit(compiler(platform.machine()))
    sys.exit(install(sys.argv[1], sys.argv[2:]))
