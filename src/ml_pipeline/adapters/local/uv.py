"""uv, called: with the caller's index settings, and its refusals told apart."""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_pipeline.adapters.local.processes import Launch, masked, run_to_end
from ml_pipeline.domain.errors import (
    ConfigurationError,
    PipelineError,
    PlatformUnavailableError,
    StorageError,
)
from ml_pipeline.ports.clock import Clock

_TIME_LIMIT_S = 3600.0
#: What uv prints when the index could not be asked, as opposed to when it said no.
_UNREACHABLE = re.compile(
    r"error sending request|Failed to fetch|Request failed after|dns error|tcp connect error"
    r"|operation timed out|connection (?:refused|reset|closed)|HTTP status server error"
    r"|error decoding response body|Failed to (?:download|extract)[^\n]*timed? ?out",
    re.IGNORECASE,
)
_SAID_NO = re.compile(r"HTTP status client error|No solution found|40[134] (?:Unauthorized|Forb)")
_DISK_FULL = re.compile(r"No space left on device|os error 28|Disk quota exceeded")
#: Handed to uv besides its own settings: where it caches, how it reaches an index, how it builds.
_PASSED = re.compile(
    r"^(HOME|USER|LOGNAME|PATH|TMPDIR|LANG|LC_\w+|XDG_\w+|SSL_CERT_(FILE|DIR)|NETRC|SSH_AUTH_SOCK"
    r"|SYSTEMROOT|(HTTPS?|ALL|NO)_PROXY|GIT_SSL_\w+|CC|CXX|C\w*FLAGS|LDFLAGS|LD_LIBRARY_PATH"
    r"|UV_\w+)$",
    re.IGNORECASE,
)
#: uv settings that would make it work on something else than we ask.
_NOT_PASSED = re.compile(
    r"^UV_(PROJECT|PROJECT_ENVIRONMENT|WORKING_DIR\w*|PYTHON|SYSTEM_PYTHON|ACTIVE|TARGET|PREFIX"
    r"|BREAK_SYSTEM_PACKAGES|NO_PROJECT|LOCKED|FROZEN|NO_SYNC|NO_DEV|DEV|NO_EDITABLE|ISOLATED"
    r"|VENV_\w+|RUN_\w+|INTERNAL\w*|LOG_\w+|UV)$"
)
_FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_DEFAULT_TIMEOUT": "UV_HTTP_TIMEOUT",
}
#: Either name means the same to uv, so pip's word does not overrule the older one.
_OLDER = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
#: Settings that decide what is installed, and so belong to an environment's identity.
_DECIDES = re.compile(
    r"^UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|EXCLUDE_NEWER\w*|RESOLUTION"
    r"|PRERELEASE|CONSTRAINT|OVERRIDE|NO_BINARY\w*|NO_BUILD\w*|TORCH_BACKEND|FORK_STRATEGY)$"
)


class Uv:
    """uv with a fixed environment.

    Args:
        folder: the project's folder, whose `[tool.uv]` settings apply; uv runs in it.
        environ: the caller's environment, of which uv sees what concerns it.
        clock: asked for time, and whether the run was asked to stop.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], clock: Clock) -> None:
        self._folder = folder
        self._environ = uv_environment(environ)
        self._clock = clock
        # for uv this is an option only, and pip takes it from the environment
        no_index = environ.get("PIP_NO_INDEX", "").lower() in {"1", "true", "yes", "on"}
        self.index_options = ("--no-index",) if no_index else ()

    @property
    def decides(self) -> Mapping[str, str]:
        """The settings that decide what is installed, without passwords."""
        chosen = {key: value for key, value in self._environ.items() if _DECIDES.match(key)}
        plain = {key: masked(value) for key, value in sorted(chosen.items())}
        return {**plain, "options": " ".join(self.index_options)}

    def __call__(
        self, *arguments: str, log: Path, variables: Mapping[str, str] | None = None
    ) -> str:
        """Run uv to its end; what it printed.

        Raises:
            ConfigurationError: uv said no: the project asks for what cannot be had.
            PlatformUnavailableError: the index did not answer.
            StorageError: the disk is full.
        """
        argv = (_binary(), *arguments)
        launch = Launch(argv=argv, cwd=self._folder, environ={**self._environ, **(variables or {})})
        self._clock.check()
        code = run_to_end(launch, log=log, time_limit_s=_TIME_LIMIT_S, clock=self._clock)
        printed = masked(log.read_text(encoding="utf-8", errors="replace"))
        log.write_text(printed, encoding="utf-8")
        if code:
            raise refusal(printed, self._folder)
        return printed


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the caller's environment uv gets; pip's index settings become uv's.

    It never downloads a Python: one that is not on this machine is an error.
    """
    kept = {
        key: value
        for key, value in environ.items()
        if _PASSED.match(key) and not _NOT_PASSED.match(key)
    }
    for theirs, ours in _FROM_PIP.items():
        if environ.get(theirs) and not {ours, _OLDER.get(ours)} & kept.keys():
            kept[ours] = environ[theirs]
    return {**kept, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


def refusal(printed: str, folder: Path) -> PipelineError:
    """The error that what uv printed comes to."""
    reason = _reason(printed)
    if _DISK_FULL.search(printed):
        return StorageError(
            f"the environment of {folder} could not be written: {reason}",
            remedy="Free some disk space and try again.",
        )
    if _UNREACHABLE.search(printed) and not _SAID_NO.search(printed):
        return PlatformUnavailableError(
            f"the package index did not answer while the environment of {folder} was made:"
            f" {reason}",
            remedy="Check the network and the index settings (UV_DEFAULT_INDEX), then try again.",
        )
    return ConfigurationError(
        f"the environment of {folder} cannot be made: {reason}",
        remedy="Correct the project's dependencies, or choose others under [environment].",
    )


def _reason(printed: str) -> str:
    """From uv's own word "error" on; else its last lines."""
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith("error")]
    return "\n".join(lines[starts[0] :][:20] if starts else lines[-12:])


def _binary() -> str:
    import uv  # noqa: PLC0415 - not needed while an environment stands

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        found = shutil.which("uv")
    if found is None:
        raise ConfigurationError(
            f"uv is not installed beside {sys.executable}",
            remedy="Install it: pip install uv.",
        )
    return found


def wants(arguments: Sequence[str], option: str) -> tuple[str, ...]:
    """Each argument preceded by an option.

    >>> wants(["dev", "test"], "--group")
    ('--group', 'dev', '--group', 'test')
    """
    return tuple(word for argument in arguments for word in (option, argument))
