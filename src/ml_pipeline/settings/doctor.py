"""`ml-pipeline doctor`: what is missing to run, found without running any of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings import machine, readiness
from ml_pipeline.settings.faults import Fault
from ml_pipeline.settings.findings import Finding, Level, fail, ok
from ml_pipeline.settings.loading import Looked, look
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
    seen = look(source, sets=sets, environ=environ)
    findings = [*machine.examine(seen.source, environ), *_settings(seen), *_secrets(environ)]
    if "local" in seen.sections:
        findings += machine.port(seen.source, seen.sections["local"].port)
    if seen.sections:
        faulty = {fault.key for fault in seen.faults}
        ready = readiness.examine(seen.source, seen.sections, environ)
        findings += [one for one in ready if one.level != Level.OK or one.subject not in faulty]
    return findings


def _settings(seen: Looked) -> Iterator[Finding]:
    """Every fault, each with what to do about it."""
    told: set[str] = set()
    for fault in seen.faults:
        if str(fault) not in told:
            yield fail("settings", str(fault), fault.remedy or _remedy(fault))
        told.add(str(fault))
    if seen.file is not None and not seen.faults:
        yield ok("settings", f"{displayed(seen.file)} holds no fault")


def _remedy(fault: Fault) -> str:
    if not fault.key:
        return f"Correct {fault.origin}."
    if fault.message.startswith("is missing"):
        return f"Set {fault.key} in {fault.origin}."
    if fault.message.startswith("unknown key"):
        return f"Correct the name of {fault.key} in {fault.origin}, or remove it."
    return f"Correct {fault.key} in {fault.origin}."


def _secrets(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        Secrets.read(environ)
    except ConfigurationError as error:
        yield fail("secrets", str(error), "Correct that variable.")
