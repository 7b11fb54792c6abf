"""How long each stage took, and which ran side by side."""

from collections.abc import Sequence

from ml_pipeline.domain.evidence import RunRecord, StageResult, Status
from ml_pipeline.reporting.plots import svg
from ml_pipeline.reporting.plots.svg import Axis, Figure
from ml_pipeline.reporting.story import sign, stages
from ml_pipeline.reporting.wording import duration, utc

_ROW = 20.0


def durations(run: RunRecord) -> Figure | None:
    """A bar a stage from its start to its end; stages that did not run are left out."""
    ran = [result for result in stages(run) if result.status is not Status.SKIPPED]
    if not ran:
        return None
    begun = min(utc(result.started_at) for result in ran)
    spans = [((utc(r.started_at) - begun).total_seconds(), r.duration_s) for r in ran]
    x = Axis(0, max(start + took for start, took in spans) or 1.0, 136, svg.WIDTH - 86)
    parts = [svg.rule((x.start, svg.TOP), (x.start, svg.TOP + _ROW * len(ran)), "axis")]
    for place, (result, (start, took)) in enumerate(zip(ran, spans, strict=True)):
        y = svg.TOP + _ROW * place
        tip = svg.tag("title", f"{result.stage}: {result.status}, {duration(took)}")
        left, right = x.at(start), x.at(start + took)
        parts += [svg.text(x.start - 8, y + 14, result.stage, "end")]
        parts += [
            svg.tag("rect", tip, x=left, y=y + 4, width=max(right - left, 1.5), height=12.0,
                    rx=2.0, class_=f"span {sign(result).tone}")
        ]  # fmt: skip
        words = "adopted" if result.adopted_from is not None else duration(took)
        parts += [svg.text(right + 5, y + 14, words)]
    summary = f"{duration(x.high)} from first to last stage; longest: {_longest(ran)}."
    return Figure(
        id="durations", title="Where the time went", summary=summary,
        svg=svg.picture(parts, summary, svg.TOP + _ROW * len(ran) + 10, "rows"),
        head=("Stage", "Status", "Started after", "Took"),
        rows=tuple(
            (r.stage, r.status.value, duration(start), duration(took))
            for r, (start, took) in zip(ran, spans, strict=True)
        ),
    )  # fmt: skip


def _longest(ran: Sequence[StageResult]) -> str:
    longest = max(ran, key=lambda result: result.duration_s)
    return f"{longest.stage} with {duration(longest.duration_s)}"
