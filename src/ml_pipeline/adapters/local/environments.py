"""Environments of a project: made with uv once, found by digest afterwards.

`envs/<key>/` counts as made only with its marker file, written last; whatever else lies there
was left by an interrupted creation and is removed by the next. The key covers what the project
declares, the index settings and the interpreter; the digest, what was installed in the end.
"""

import hashlib
import json
import platform
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from packaging.version import Version

from ml_pipeline.adapters.local.declared import Declared, Kind, declared, locked_folders
from ml_pipeline.adapters.local.disk import write_whole
from ml_pipeline.adapters.local.importable import expose
from ml_pipeline.adapters.local.uv import Uv, wants
from ml_pipeline.domain.policies.training import EnvironmentPolicy
from ml_pipeline.ports.clock import Clock

_LAYOUT = 1  # counted up when an environment is made in another way
_MARKER = "made.json"
_FROZEN = "frozen.txt"
_LOCK_POLL_S = 0.2
_PLAIN_VERSION = re.compile(r"^\d+\.\d+(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that is finished; `digest` covers everything installed in it."""

    path: Path
    digest: str

    @property
    def programs(self) -> Path:
        """The folder its programs are in."""
        return self.path / "venv" / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.programs / "python"


class Environments:
    """The environments of one project.

    Args:
        source: the project's folder; nothing is written into it.
        folder: where environments are kept.
        policy: what the settings say of them.
        uv: uv, running in `source`.
        clock: asked whether the run was asked to stop while another process makes the same one.
    """

    def __init__(
        self, source: Path, folder: Path, policy: EnvironmentPolicy, uv: Uv, clock: Clock
    ) -> None:
        self._source = source
        self._folder = folder
        self._policy = policy
        self._uv = uv
        self._clock = clock

    def project(self) -> Environment:
        """The project's own environment, made when it is not there.

        Raises:
            ConfigurationError: the project cannot be installed; says why.
            PlatformUnavailableError: the package index did not answer.
        """
        needs = declared(self._source, self._policy)
        python = _interpreter(self._policy.python, needs)
        key = self._key("project", needs.facts, needs.lines, needs.groups, needs.extras, python)
        return self._made(key, needs, lambda folder: self._install(folder, needs, python))

    def overlaid(self, extra: Sequence[str]) -> Environment:
        """The project's environment with more installed, nothing of it in another version.

        Raises:
            ConfigurationError: `extra` does not go together with what the project has.
            PlatformUnavailableError: the package index did not answer.
        """
        base = self.project()
        if not extra:
            return base
        needs = declared(self._source, self._policy)
        key = self._key("overlay", base.digest, base.path.name, *sorted(extra))
        return self._made(key, needs, lambda folder: self._overlay(folder, base, extra))

    def _key(self, *parts: object) -> str:
        machine = [platform.machine(), platform.python_version(), sys.executable]
        identity = [_LAYOUT, str(self._source), self._uv.decides, machine, *parts]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]

    def _made(self, key: str, needs: Declared, make: Callable[[Path], None]) -> Environment:
        folder = self._folder / key
        found = _finished(folder)
        if found is not None:
            return found
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{key}.lock")
        self._acquire(lock)
        try:
            found = _finished(folder)
            if found is not None:
                return found
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            return self._finish(folder, needs)
        finally:
            lock.release()

    def _acquire(self, lock: FileLock) -> None:
        while True:
            try:
                lock.acquire(timeout=_LOCK_POLL_S)
            except Timeout:
                self._clock.check()
            else:
                return

    def _install(self, folder: Path, needs: Declared, python: str) -> None:
        venv, log = folder / "venv", folder / "uv.log"
        groups = wants(needs.groups, "--group")
        extras = wants(needs.extras, "--extra")
        if needs.kind is Kind.LOCK:
            self._uv(
                *("sync", "--frozen", "--no-install-local", "--no-default-groups", *groups),
                *(*extras, "--python", python, *self._uv.index_options),
                log=log,
                variables={"UV_PROJECT_ENVIRONMENT": str(venv)},
            )
        else:
            self._uv("venv", "--no-project", "--python", python, str(venv), log=log)
            excluded = folder / "excluded.txt"
            excluded.write_text(f"{needs.name}\n", encoding="utf-8")
            own = ("--excludes", str(excluded)) if needs.name else ()
            what = _requirement_arguments(folder, needs)
            if what or groups:
                self._uv(
                    *("pip", "install", "--python", str(venv / "bin" / "python"), *own),
                    *(*what, *extras, *groups, *self._uv.index_options),
                    log=log,
                )

    def _overlay(self, folder: Path, base: Environment, extra: Sequence[str]) -> None:
        """All of the base again, pinned, and the extra lines: uv links, so it costs no space."""
        venv, log = folder / "venv", folder / "uv.log"
        lines = folder / "extra.txt"
        lines.write_text("".join(f"{line}\n" for line in extra), encoding="utf-8")
        self._uv("venv", "--no-project", "--python", str(base.python), str(venv), log=log)
        self._uv(
            *("pip", "install", "--python", str(venv / "bin" / "python")),
            *("-r", str(base.path / _FROZEN), "-r", str(lines), *self._uv.index_options),
            log=log,
        )

    def _finish(self, folder: Path, needs: Declared) -> Environment:
        venv = folder / "venv"
        python = str(venv / "bin" / "python")
        frozen = self._uv("-q", "pip", "freeze", "--python", python, log=folder / _FROZEN)
        config = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
        version = next((line for line in config.splitlines() if "version_info" in line), "")
        identity = [frozen, version, sys.platform, platform.machine()]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        expose((*needs.importable, *locked_folders(needs)), venv)
        write_whole(folder / _MARKER, json.dumps({"digest": digest}))
        return Environment(folder, digest)


def _finished(folder: Path) -> Environment | None:
    """The environment there, None when it is not finished or its interpreter went away."""
    try:
        text = (folder / _MARKER).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = Environment(folder, json.loads(text)["digest"])
    return found if found.python.exists() else None


def _requirement_arguments(folder: Path, needs: Declared) -> tuple[str, ...]:
    if needs.kind is Kind.PYPROJECT:
        return ("-r", str(needs.source / "pyproject.toml"))
    if not needs.lines:
        return ()
    lines = folder / "requirements.txt"
    lines.write_text("".join(f"{line}\n" for line in needs.lines), encoding="utf-8")
    return ("-r", str(lines))


def _interpreter(asked: str | None, needs: Declared) -> str:
    """What to tell uv: this very interpreter where it fits, else what is asked for."""
    running = platform.python_version()
    if asked is None:
        fits = needs.requires_python.contains(Version(running), prereleases=True)
        return sys.executable if fits else str(needs.requires_python)
    plain = _PLAIN_VERSION.match(asked) and f"{running}.".startswith(f"{asked}.")
    return sys.executable if plain else asked
