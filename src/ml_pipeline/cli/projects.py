"""Commands for a project's configuration: `init`, `doctor`, `config`."""

from collections.abc import Sequence
from pathlib import Path

from ml_pipeline.cli.opening import environment
from ml_pipeline.cli.saying import say
from ml_pipeline.domain.errors import ExitCode

_MARKS = {"ok": " ok ", "warn": "warn", "fail": "FAIL"}


def initialise(source: Path | None) -> int:
    """`init`."""
    from ml_pipeline.settings import initproject

    for line in initproject.write(source or Path()):
        say(line)
    return ExitCode.DONE


def examine(source: Path | None, sets: Sequence[str]) -> int:
    """`doctor`: everything found, and 4 when a run could not work."""
    from ml_pipeline.settings import doctor

    findings = doctor.examine(source, sets=sets, environ=environment())
    for one in findings:
        say(f"{_MARKS[one.level]}  {one.subject}: {one.message}")
        if one.remedy and one.level != "ok":
            say(f"      {one.remedy}")
    failed = any(one.level == "fail" for one in findings)
    return ExitCode.CONFIGURATION if failed else ExitCode.DONE


def explain(source: Path | None, sets: Sequence[str], key: str = "") -> int:
    """`config`: every effective value, or those at and below a key, and where they came from."""
    from ml_pipeline import settings

    loaded = settings.load(source, sets=sets, environ=environment())
    rows = settings.explain(loaded)
    rows = settings.chosen(rows, key) if key else rows
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        say(f"{name:<{widths[0]}}  {value:<{min(widths[1], 60)}}  {origin}")
    return ExitCode.DONE
