"""The report as Markdown, short enough for a pull-request comment or a step summary."""

import html
import re
from collections.abc import Iterable, Sequence

from ml_pipeline.domain.evidence import RunRecord, StageResult, Status
from ml_pipeline.reporting import contest
from ml_pipeline.reporting.recordings import Load, Recordings, Rollout
from ml_pipeline.reporting.story import (
    SIGNS,
    VERDICTS,
    culprits,
    facts,
    not_run,
    overrides,
    red,
    sign,
    stages,
    title,
)
from ml_pipeline.reporting.wording import duration, line, measured, number, verdict_of

#: GitHub cuts a comment at 65,536 characters; others are about as strict.
MOST_BYTES = 60_000
_ACTIVE = re.compile(r"([\\`*_\[\]#|~$])")
#: What makes a list, a heading or a rule where a line begins with it: a backslash goes after
#: the digits of `1.`, before any other.
_LEADING = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))")
#: Mentions, issue numbers and bare links become links by themselves, also when escaped; a
#: zero-width space after the first character keeps them text.
_LINKING = re.compile(r"(@|#(?=\d)|\bGH(?=-\d)|:(?=//)|\bwww(?=\.))", re.IGNORECASE)
_APART = "\u200b"


def plain(text: str, longest: int = 300) -> str:
    r"""Text as itself inside a line or a table cell: no markup, mention, link or line break.

    >>> plain("a|b <b> *c*")
    'a\\|b &lt;b&gt; \\*c\\*'
    """
    return _inert(_literal(line(text, longest)))


def prose(text: str, longest: int = 600) -> str:
    """Like `plain`, but what stands between backticks is code, to be copied as it is.

    Not for table cells, where code cannot hold a pipe.

    >>> prose("run `a_b`")
    'run `a_b`'
    """
    parts = line(text, longest).split("`")
    if len(parts) % 2 == 0 or "" in parts[1::2]:
        return plain(text, longest)
    told = (f"`{part}`" if place % 2 else _literal(part) for place, part in enumerate(parts))
    return _inert("".join(told))


def _literal(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", _html(text))


def _inert(text: str) -> str:
    return _LEADING.sub(r"\1\\", text)


def _html(text: str) -> str:
    return html.escape(_LINKING.sub(rf"\1{_APART}", text), quote=False)


def block(text: str, longest: int = 3000) -> str:
    """Text as a code block whose fence the text cannot close; the end of a long one is kept."""
    shown = text if len(text) <= longest else f"…{text[-longest:]}"
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def markdown(left: Recordings) -> str:
    """The whole page, at most `MOST_BYTES` long: verdict, why, numbers, stages, details.

    What does not fit is left to the HTML report, and said to be.
    """
    run = left.run
    parts = [_verdict(run), *_overridden(run), *_why(run), *_contest(run), *_stages(run)]
    details = [*_rollout(left), *_load(left), *(d for r in stages(run) for d in _stage(r))]
    details.append(_folded("This run", _table(("", ""), facts(run))))
    ending = f"<!-- ml-pipeline report: {_name(run.project)}/{_name(run.model)} -->"
    room = MOST_BYTES - _bytes(*parts, ending) - 200
    shown: list[str] = []
    for part in details:
        room -= _bytes(part)
        if room < 0:
            left_out = len(details) - len(shown)
            shown.append(f"{left_out} more parts did not fit; `report.html` has them.")
            break
        shown.append(part)
    return "\n\n".join([*parts, *shown, ending]) + "\n"


def _verdict(run: RunRecord) -> str:
    verdict = VERDICTS[run.outcome]
    head = f"{verdict.mark} **{verdict.title}**: {plain(run.model)}"
    told = f" (exit code {run.exit_code}, {duration(run.duration_s)})"
    return f"{head}{told}\n\n{prose(run.message)}".rstrip()


def _overridden(run: RunRecord) -> list[str]:
    said = [f"> - `{what}`: {plain(meaning)}" for what, meaning in overrides(run)]
    return ["\n".join(["> **Rules were overridden in this run**", ">", *said])] if said else []


def _why(run: RunRecord) -> list[str]:
    told: list[str] = []
    for result in culprits(run)[:6]:
        told.append(f"**{plain(title(result.stage))}**: {sign(result).title}")
        if result.message not in ("", run.message):
            told[-1] += f", {prose(result.message)}"
        items = [f"- ❌ {plain(verdict_of(check), 200)}" for check in red(result)[:8]]
        told += ["\n".join(items)] if items else []
        told += [f"**What to do:** {prose(result.remedy)}"] if result.remedy else []
    return told


def _contest(run: RunRecord) -> list[str]:
    found = contest.contest(run)
    if found is None:
        return []
    limits = ", ".join(number(limit) for _, limit in found.limits)
    head = ("Metric", "Challenger", "Champion", "Change", "Limit")
    row = (found.metric, number(found.challenger), number(found.champion), found.change, limits)
    return [_table(head, [row])]


def _stages(run: RunRecord) -> list[str]:
    rows = [
        (
            title(result.stage),
            f"{sign(result).mark} {sign(result).title}",
            "adopted" if result.adopted_from is not None else duration(result.duration_s),
            line(result.message, 120),
        )
        for result in stages(run)[:40]
    ]
    told = [_table(("Stage", "Status", "Took", ""), rows)] if rows else []
    missing = not_run(run)
    return told + ([f"Did not run: {plain(', '.join(missing))}."] if missing else [])


def _rollout(left: Recordings) -> list[str]:
    recorded, _ = left.read(Rollout, "shift-traffic", "rollout.json")
    if recorded is None:
        return []
    rows = [
        (duration(e.at_s), e.event, _share(e.share_pct(recorded.challenger)), e.message)
        for e in recorded.events[:60]
    ]
    slots = (("challenger", recorded.challenger), ("champion", recorded.champion))
    totals = []
    for role, slot in slots:
        seen = [s for s in recorded.samples if s.slot == slot]
        if seen:
            counts = (f"{sum(s.requests for s in seen):,}", f"{sum(s.errors for s in seen):,}")
            totals.append((role, *counts))
    tables = [_table(("Slot", "Requests", "Failed"), totals)] if totals else []
    tables.append(_table(("After", "Event", "Challenger gets", ""), rows))
    return [_folded("Rollout", "\n\n".join(tables))]


def _load(left: Recordings) -> list[str]:
    recorded, _ = left.read(Load, "load-test", "load.json")
    if recorded is None:
        return []
    rows = [
        ("Requests", f"{recorded.sent:,} of {recorded.planned:,} planned"),
        ("Errors", f"{recorded.errors:,}"),
        *((f"Errors: {kind}", f"{count:,}") for kind, count in recorded.errors_by_kind[:10]),
        *(
            (name, measured(getattr(recorded, f"{name}_ms"), "ms"))
            for name in ("p50", "p90", "p99")
        ),
        ("Slowest", measured(recorded.max_ms, "ms")),
    ]
    return [_folded("Load test", _table(("", ""), rows))]


def _stage(result: StageResult) -> list[str]:
    if not result.checks and not result.metrics and "\n" not in result.message.strip():
        return []
    parts = []
    if result.checks:
        rows = [
            (
                c.name,
                SIGNS[Status.PASSED if c.passed else Status.FAILED].mark,
                measured(c.value, c.unit),
                measured(c.limit, c.unit),
                line(c.message, 160),
            )
            for c in result.checks[:60]
        ]
        parts.append(_table(("Check", "", "Value", "Limit", ""), rows))
    if result.metrics:
        metrics = list(result.metrics.items())[:60]
        parts.append(_table(("Metric", "Value"), [(n, number(v)) for n, v in metrics]))
    logs = [text for text in (result.message, *(c.message for c in red(result))) if "\n" in text]
    parts += [block(text) for text in logs[:5]]
    return [_folded(f"{line(title(result.stage), 80)}: {sign(result).title}", "\n\n".join(parts))]


def _folded(name: str, content: str) -> str:
    return f"<details><summary>{_html(name)}</summary>\n\n{content}\n\n</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    told = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    told += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows]
    return "\n".join(told)


def _share(pct: float | None) -> str:
    return "" if pct is None else f"{pct:g} %"


def _name(text: str) -> str:
    """A name inside an HTML comment, which it cannot end."""
    return re.sub(r"[^\w.]+", "-", text)[:80]


def _bytes(*parts: str) -> int:
    return sum(len(part.encode()) + 2 for part in parts)
