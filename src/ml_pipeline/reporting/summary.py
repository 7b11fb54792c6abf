"""The plain-text end of a run, for a terminal and a CI log."""

from ml_pipeline.domain.evidence import RunRecord
from ml_pipeline.reporting.cleaning import masked, presentable, visible
from ml_pipeline.reporting.contest import contest
from ml_pipeline.reporting.story import (
    VERDICTS,
    culprits,
    overrides,
    red,
    sign,
    title,
    versions,
)
from ml_pipeline.reporting.wording import ABSENT, duration, line, number, verdict_of

#: CI systems obey what a log line says after these; a name in a project must not command them.
_COMMANDS = ("##", "::")


def lines(run: RunRecord, page: str = "") -> list[str]:
    """The verdict, why, champion against challenger, the run's id, and where the report lies.

    Each line begins with our own words, and text from outside holds no terminal sequence, line
    break or CI command.

    Args:
        run: the run as far as it got.
        page: path of the HTML report, where the caller knows it.
    """
    run = presentable(run)
    verdict = VERDICTS[run.outcome]
    ended = f"exit code {run.exit_code}, {duration(run.duration_s)}"
    told = [f"{verdict.title}: {said(run.model)} ({ended})", *_row("why", run.message)]
    for result in culprits(run):
        told += _row(sign(result).title, f"{title(result.stage)}: {result.message}", run.message)
        for check in red(result)[:5]:
            told += _row("red", f"{verdict_of(check)} {line(check.message, 240)}")
        told += _row("to do", result.remedy)
    told += [row for what, meaning in overrides(run) for row in _row(what, meaning)]
    return [*told, *_contest(run), *_row("run", run.run_id), *_row("report", page)]


def _contest(run: RunRecord) -> list[str]:
    found = contest(run)
    if found is None:
        return []
    named = dict(versions(run))
    theirs = ABSENT if found.champion is None else number(found.champion)
    sides = (("challenger", number(found.challenger)), ("champion", theirs))
    told = [f"{role}{_version(named, role)} {value}" for role, value in sides]
    return _row(found.metric, f"{', '.join(told)}; {found.change}")


def _version(named: dict[str, str], role: str) -> str:
    return f" (version {named[role]})" if role in named else ""


def _row(label: str, text: str, already_said: str = "") -> list[str]:
    """A labelled line; none for an empty text."""
    if not text.strip() or (already_said and text.endswith(already_said)):
        return []
    return [f"  {said(label):<12} {said(text)}"]


def said(text: str, longest: int = 400) -> str:
    """Text from outside in one line that commands neither a terminal nor a CI system."""
    shown = line(masked(visible(text)), longest)
    for command in _COMMANDS:
        shown = shown.replace(command, f"{command[0]} {command[1]}")
    return shown
