"""`ml-pipeline doctor`: what is missing to run, found without running any of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings import machine, readiness
from ml_pipeline.settings.findings import Finding, Level, fail, ok
from ml_pipeline.settings.loading import load
from ml_pipeline.settings.model import Settings
from ml_pipeline.settings.project import displayed
from ml_pipeline.settings.secrets import Secrets

__all__ = ["Finding", "Level", "examine"]


def examine(
    source: Path | None = None,
    *,
    sets: Sequence[str] = (),
    environ: Mapping[str, str],
) -> Sequence[Finding]:
    """Everything looked at, in the order a run would meet it; faults are findings, not errors.

    Args:
        source: the project's folder; the working folder when None.
        sets: texts of `--set`.
        environ: environment variables.
    """
    settings, faults = _settings(source, sets, environ)
    folder = settings.source if settings else (source or Path.cwd()).resolve()
    findings = [*machine.examine(folder, environ), *faults, *_secrets(environ)]
    if settings is not None:
        findings += machine.port(settings)
        findings += readiness.examine(settings, environ)
    return findings


def _settings(
    source: Path | None, sets: Sequence[str], environ: Mapping[str, str]
) -> tuple[Settings | None, Sequence[Finding]]:
    try:
        settings = load(source, sets=sets, environ=environ)
    except ConfigurationError as error:
        *lines, last = str(error).splitlines()
        findings = [fail("settings", line, "") for line in lines]
        return None, [*findings, fail("settings", last, error.remedy)]
    return settings, [ok("settings", f"{displayed(settings.file)} holds no fault")]


def _secrets(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        Secrets.read(environ)
    except ConfigurationError as error:
        yield fail("secrets", str(error), "Correct that variable.")
