"""The report as one HTML file that fetches nothing and runs from `file://`."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ml_pipeline.domain.evidence import RunRecord, StageResult
from ml_pipeline.reporting import story, wording
from ml_pipeline.reporting.contest import contest, table
from ml_pipeline.reporting.plots import load, metrics, rollout, stages
from ml_pipeline.reporting.plots.svg import Figure, tag
from ml_pipeline.reporting.recordings import Load, Predictions, Recordings, Rollout

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A chapter of the report; `notes` say what it lacks, and why."""

    id: str
    title: str
    figures: tuple[Figure, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def render(left: Recordings) -> str:
    """The whole page.

    Args:
        left: the run, cleaned of secrets and invisible characters, and its folder; what is
            missing in it is named in the page. All of it is escaped here.
    """
    run = left.run
    css, js = _own("report.css"), _own("report.js")
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return (
        environment.get_template("report.html.j2")
        .render(
            _words(),
            run=run,
            css=css,
            js=js,
            policy=_policy(css, js),
            verdict=story.VERDICTS[run.outcome],
            overrides=story.overrides(run),
            culprits=story.culprits(run),
            facts=story.facts(run),
            options=tuple((name, story.known(value)) for name, value in run.options.items()),
            sections=sections(left),
            stages=story.stages(run),
            not_run=story.not_run(run),
        )
        .lstrip()
    )


def sections(left: Recordings) -> tuple[Section, ...]:
    """The chapters in reading order: the decision, how it went, what it stands on."""
    run = left.run
    return (_comparison(run, left), _rollout(run, left), _load(run, left),
            _data_and_time(run))  # fmt: skip


def _own(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text("utf-8"))  # noqa: S704 - our file, no input


def prose(text: str) -> Markup:
    """Text with what stands between backticks as code; a backtick without a partner stays.

    >>> prose("use `a<b`!")
    Markup('use <code>a&lt;b</code>!')
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = [f"{parts[-2]}`{parts[-1]}"]
    marked = (tag("code", part) if place % 2 else part for place, part in enumerate(parts))
    return Markup("").join(marked)


def _words() -> dict[str, Any]:
    """What the template calls; all of it is tested on its own."""
    return {
        "signs": {status.value: sign for status, sign in story.SIGNS.items()},
        "title": story.title,
        "red": story.red,
        "prose": prose,
        "sign": story.sign,
        "duration": wording.duration,
        "line": wording.line,
        "measured": wording.measured,
        "size": wording.size,
        "verdict_of": wording.verdict_of,
        "when": wording.when,
        "metrics": _metrics,
        "values": _values,
    }


def _metrics(result: StageResult) -> tuple[tuple[str, str], ...]:
    return tuple((name, wording.number(value)) for name, value in result.metrics.items())


def _values(result: StageResult) -> tuple[tuple[str, str], ...]:
    pairs = ((name, story.known(value)) for name, value in result.values.items())
    return tuple((name, wording.line(value, 600)) for name, value in pairs)


def _policy(css: str, js: str) -> str:
    """Nothing may be fetched, and only this page's own style and script count."""
    return (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(js)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _comparison(run: RunRecord, left: Recordings) -> Section:
    found = contest(run)
    recorded, why = left.read(Predictions, "evaluate", "predictions.json")
    figures = (
        None if found is None else metrics.comparison(found),
        None if recorded is None else metrics.residuals(recorded),
    )
    missing = "" if found is not None else "Not recorded: no comparison was made."
    return Section(
        id="comparison-section", title="Champion and challenger", figures=_drawn(*figures),
        rows=table(run), notes=_noted(missing, why if found is not None else ""),
    )  # fmt: skip


def _rollout(run: RunRecord, left: Recordings) -> Section:
    title = "Rollout"
    recorded, why = left.read(Rollout, "shift-traffic", "rollout.json")
    if recorded is None:
        return Section(id="rollout", title=title, notes=_noted(why))
    limit = _recorded(run, "shift-traffic", "max_error_share")
    plots = (rollout.weight(recorded), rollout.errors(recorded, limit), rollout.tail(recorded))
    return Section(
        id="rollout",
        title=title,
        figures=_drawn(*plots),
        rows=rollout.totals(recorded),
        notes=_noted("" if recorded.samples else "Not recorded: how the slots fared."),
    )


def _load(run: RunRecord, left: Recordings) -> Section:
    title = "Load test"
    recorded, why = left.read(Load, "load-test", "load.json")
    if recorded is None:
        return Section(id="load", title=title, notes=_noted(why))
    curve = load.latencies(recorded, _limit(run, "load-test", "p99"))
    rows = (
        ("Requests planned", f"{recorded.planned:,}"),
        ("Requests sent", f"{recorded.sent:,}"),
        ("Errors", f"{recorded.errors:,}"),
        *((f"Errors: {kind}", f"{count:,}") for kind, count in recorded.errors_by_kind),
        ("Generator behind its schedule (p99)", wording.measured(recorded.lag_p99_ms, "ms")),
    )
    return Section(
        id="load",
        title=title,
        figures=_drawn(curve, load.over_time(recorded)),
        rows=rows,
        notes=_noted("" if curve is not None else "Not recorded: the latency distribution."),
    )


def _data_and_time(run: RunRecord) -> Section:
    result = story.newest(run, "drift")
    named = result.metrics.items() if result is not None else ()
    psi = {name.removeprefix("psi."): value for name, value in named if name.startswith("psi.")}
    drift = metrics.drift(psi, _recorded(run, "drift", "limit"))
    missing = "" if drift is not None else "Not recorded: drift, no column was compared."
    figures = _drawn(drift, stages.durations(run))
    return Section(id="data", title="Data and time", figures=figures, notes=_noted(missing))


def _recorded(run: RunRecord, stage: str, key: str) -> float | None:
    result = story.newest(run, stage)
    value = result.values.get(key) if result is not None else None
    return float(value) if isinstance(value, int | float) else None


def _limit(run: RunRecord, stage: str, word: str) -> float | None:
    """The limit of the stage's check about `word`."""
    result = story.newest(run, stage)
    checks = result.checks if result is not None else []
    limits = (check.limit for check in checks if word in check.name.lower())
    return next((limit for limit in limits if isinstance(limit, float)), None)


def _drawn(*figures: Figure | None) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure is not None)


def _noted(*notes: str) -> tuple[str, ...]:
    return tuple(note for note in notes if note)
