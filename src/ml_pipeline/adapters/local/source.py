"""The project's own files: what they are, and which commit they stand on."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.left_out import LEFT_OUT

#: Names the commit where there is no repository to ask, as in a container.
COMMIT = "MLP_COMMIT"
_COMMIT = re.compile(r"[0-9a-f]{7,64}\+?")
_GIT_LIMIT_S = 30


def source_digest(source: Path, *, without: Path | None = None) -> str:
    """SHA-256 over names and contents of the project's files.

    What git ignores is left out where the project is in git, so that a tool's droppings do not
    make a checked project look changed.

    Args:
        source: the project's folder.
        without: a data file below it that has a digest of its own.
    """
    total = hashlib.sha256()
    for path in sorted(_files(source)):
        if without is not None and path == without:
            continue
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            continue  # deleted, but still in git's index
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error.strerror}",
                remedy="Make it readable, or list it in .gitignore.",
            ) from error
        total.update(f"{path.relative_to(source).as_posix()}\0{digest}\n".encode())
    return total.hexdigest()


@cache
def pipeline_digest() -> str:
    """SHA-256 over what computes answers: this package's code, and the interpreter it runs in."""
    root = Path(__file__).parents[2]
    total = hashlib.sha256(f"{sys.version} {platform.machine()}".encode())
    for path in sorted(root.rglob("*.py")):
        total.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return total.hexdigest()


def commit_of(source: Path, environ: Mapping[str, str]) -> str | None:
    """The commit the project stands on, with `+` when files differ from it; None if unknown.

    Raises:
        ConfigurationError: the environment names what is no commit.
    """
    if given := environ.get(COMMIT):
        if not _COMMIT.fullmatch(given):
            raise ConfigurationError(
                f"{COMMIT} is {given!r}, which is no commit",
                remedy="Name it by its SHA, such as $(git rev-parse HEAD), or leave it out.",
            )
        return given
    head = _git(source, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(source, "status", "--porcelain", "--", ".")
    return head.decode().strip() + ("+" if changed else "")


def _files(source: Path) -> Iterator[Path]:
    listed = _git(source, "ls-files", "-z", "-co", "--exclude-standard", "--", ".")
    if listed is not None:
        paths = (source / name.decode() for name in listed.split(b"\0") if name)
        yield from (path for path in paths if path.is_file() and _counts(path, source))
        return
    for folder, names, files in os.walk(source):
        names[:] = [name for name in names if name not in LEFT_OUT]
        paths = (Path(folder) / name for name in files)
        yield from (path for path in paths if path.is_file() and _counts(path, source))


def _counts(path: Path, source: Path) -> bool:
    parts = path.relative_to(source).parts
    return not LEFT_OUT.intersection(parts) and path.suffix not in {".pyc", ".egg-info"}


def _git(source: Path, *words: str) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *words],
            capture_output=True,
            timeout=_GIT_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
