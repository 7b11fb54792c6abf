"""The project's own commands, in an environment made for it and a small clean set of variables."""

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.environments import Environment, Environments
from ml_pipeline.adapters.local.processes import Launch, masked, run_to_end
from ml_pipeline.adapters.local.uv import Uv
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import EnvironmentPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.runner import CommandResult

if TYPE_CHECKING:
    from ml_pipeline.ports.runner import ProjectRunner

#: Handed through: who and where the user is, and how the network is reached.
_PASSED = re.compile(
    r"^(HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LC_\w+|XDG_(CACHE|CONFIG|DATA)_HOME|SYSTEMROOT"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$|^(HTTPS?|ALL|NO)_PROXY$",
    re.IGNORECASE,
)
_PYTHON = re.compile(r"^python(3(\.\d+)?)?$")
#: A value shorter than this is in every log by chance, and no secret.
_SECRET_LENGTH = 6


class LocalRunner:
    """Speaks `ports.runner.ProjectRunner`.

    What the project's tools would cache in its folder goes below `state` instead.

    Args:
        source: the project's folder.
        state: the pipeline's own folder for this project.
        policy: `[environment]`.
        clock: asked for time, and whether the run was asked to stop.
        environ: the caller's environment; commands see very little of it.
    """

    def __init__(
        self,
        source: Path,
        state: Path,
        policy: EnvironmentPolicy,
        clock: Clock,
        environ: Mapping[str, str],
    ) -> None:
        self._source = source.resolve()
        self._state = state.resolve()
        self._policy = policy
        self._clock = clock
        self._environ = environ
        uv = Uv(self._source, environ, clock)
        folder = self._state / "envs"
        self._environments = Environments(self._source, folder, policy, uv, clock)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Variables handed through from the caller, whose values no log may hold."""
        return self._policy.pass_variables

    def prepare(self) -> str:
        return self._environments.project().digest

    def run(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        time_limit_s: float,
        extra: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> CommandResult:
        launch = self.launch(argv, extra=extra, variables=variables)
        began = self._clock.monotonic()
        try:
            code = run_to_end(launch, log=log, time_limit_s=time_limit_s, clock=self._clock)
        finally:
            self.mask(log)
        took = self._clock.monotonic() - began
        return CommandResult(argv=tuple(argv), exit_code=code, duration_s=took, log=log)

    def launch(
        self,
        argv: Sequence[str],
        *,
        extra: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Launch:
        """A command of the project, ready to be started.

        Raises:
            ConfigurationError: there is no such program, or the project cannot be installed.
            PlatformUnavailableError: the package index did not answer.
        """
        environment = self._environments.overlaid(extra)
        visible = self._visible(environment)
        program = self._program(argv[0], environment, visible["PATH"])
        return Launch(
            argv=(program, *argv[1:]),
            cwd=self._source,
            environ={**visible, **(variables or {})},
        )

    def mask(self, log: Path) -> None:
        """Take values of variables handed through out of a log, and passwords of addresses."""
        if not log.exists():
            return
        text = log.read_text(encoding="utf-8", errors="replace")
        passed = [self._environ.get(name, "") for name in self._policy.pass_variables]
        clean = masked(text, [value for value in passed if len(value) >= _SECRET_LENGTH])
        if clean != text:
            log.write_text(clean, encoding="utf-8")

    def _visible(self, environment: Environment) -> dict[str, str]:
        caller = self._environ
        ours = {str(Path(sys.prefix, "bin")), str(Path(sys.executable).parent)}
        ours.add(str(Path(caller.get("VIRTUAL_ENV", sys.prefix), "bin")))
        rest = [part for part in caller.get("PATH", "").split(":") if part and part not in ours]
        passed = {name: caller[name] for name in self._policy.pass_variables if name in caller}
        return {
            "LANG": "C.UTF-8",
            **{key: value for key, value in caller.items() if _PASSED.match(key)},
            **_caches(self._state / "caches"),
            "PATH": ":".join([str(environment.programs), *rest]),
            "VIRTUAL_ENV": str(environment.path / "venv"),
            "PYTHONUNBUFFERED": "1",
            **passed,
            **self._policy.variables,
        }

    def _program(self, name: str, environment: Environment, path: str) -> str:
        if _PYTHON.match(name):
            return str(environment.python)
        if "/" in name:
            file = self._source / name
            found = str(file) if file.is_file() else None
        else:
            found = shutil.which(name, path=path)
        if found is None:
            raise ConfigurationError(
                f"there is no program {name!r}, neither in the environment of {self._source}"
                " nor on this machine",
                remedy=f"Add {name} to the project's dependencies for development, "
                "or change the command.",
            )
        return found


def _caches(folder: Path) -> dict[str, str]:
    """Variables that keep what common tools remember out of the project's folder."""
    pytest = shlex.quote(f"cache_dir={folder / 'pytest'}")
    return {
        "PYTHONPYCACHEPREFIX": str(folder / "pycache"),
        "RUFF_CACHE_DIR": str(folder / "ruff"),
        "MYPY_CACHE_DIR": str(folder / "mypy"),
        "COVERAGE_FILE": str(folder / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "PYTEST_ADDOPTS": f"-o {pytest}",
    }


if TYPE_CHECKING:
    _speaks: type[ProjectRunner] = LocalRunner
