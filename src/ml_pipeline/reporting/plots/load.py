"""The load test: how long requests took, and how that went over time."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from ml_pipeline.reporting.plots import svg
from ml_pipeline.reporting.plots.svg import Axis, Figure, Key
from ml_pipeline.reporting.recordings import Load, Second
from ml_pipeline.reporting.wording import measured, number

_QUANTILES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
#: A limit this far above what was measured would press the curve flat on a linear axis.
_FLAT = 6.0


def latencies(load: Load, limit_ms: float | None) -> Figure | None:
    """Latency over the share of requests that stayed within it, against the limit on p99.

    The x axis gives each further nine the same room, as is usual for HdrHistogram; None when
    no curve was recorded.
    """
    curve = [(q, ms) for q, ms in load.percentiles if 0 <= q <= 1]
    if len(curve) < 2:
        return None
    furthest = 1 - 1 / max(load.planned, 100)
    x = Axis(0, _nines(furthest), svg.LEFT, svg.WIDTH - svg.RIGHT)
    y = _latency_axis([ms for _, ms in curve], limit_ms)
    shown = [(_nines(q), f"{q * 100:g} %") for q in _QUANTILES if q <= furthest]
    points = [(x.at(_nines(min(q, furthest))), y.at(ms)) for q, ms in curve]
    parts = [svg.frame(x, y, shown, "ms, log scale" if y.log else "ms")]
    parts += [svg.area(points, y.start, "challenger"), svg.line(points, "challenger")]
    parts += _limit(x, y, limit_ms) + _p99(x, y, load.p99_ms)
    tips = [(_nines(min(q, furthest)), f"{q * 100:.5g} %: {number(ms)} ms") for q, ms in curve]
    parts += [svg.hits(x, y, tips)]
    summary = f"Half of {load.planned:,} requests within {number(load.p50_ms)} ms, 99 % within "
    summary += f"{number(load.p99_ms)} ms, the slowest {number(load.max_ms)} ms"
    summary += "" if limit_ms is None else f"; the limit for 99 % is {number(limit_ms)} ms"
    return Figure(
        id="latency", title="Latency of staging under load", summary=f"{summary}.",
        svg=svg.picture(parts, summary, 260),
        head=("Share of requests", "Within"),
        rows=tuple((f"{q * 100:.5g} %", measured(ms, "ms")) for q, ms in curve),
    )  # fmt: skip


def over_time(load: Load) -> Figure | None:
    """Requests, errors and latency of each second; None when no second was recorded."""
    seconds = load.timeline
    if not seconds:
        return None
    first, last = seconds[0].second, seconds[-1].second + 1
    x = Axis(first, last, svg.LEFT, svg.WIDTH - svg.RIGHT)
    shown = [(tick, f"{tick:g} s") for tick in x.ticks(6)]
    tips = [(second.second + 0.5, _tip(second)) for second in seconds]
    above = Axis(0, _highest(seconds) * 1.1, 140, svg.TOP)
    below = Axis(0, max(s.requests for s in seconds) * 1.1 or 1, 240, 180)
    parts = [svg.frame(x, above, [], "ms"), svg.frame(x, below, shown, "requests a second")]
    parts += _lines(seconds, x, above) + _bars(seconds, x, below)
    parts += [svg.hits(x, Axis(0, 1, below.start, above.end), tips)]
    summary = f"{load.sent:,} of {load.planned:,} planned requests sent in "
    summary += f"{number(load.duration_s)} s, {load.errors:,} errors."
    keys = [Key(kind="p99", label="p99"), Key(kind="p50", label="p50"),
            Key(kind="requests", label="answered"), Key(kind="errors", label="errors")]  # fmt: skip
    return Figure(
        id="load-over-time", title="Load test, second by second", summary=summary,
        svg=svg.picture(parts, summary, 274), keys=tuple(keys),
        head=("Second", "Requests", "Errors", "p50", "p99", "Slowest"),
        rows=tuple(_row(second) for second in seconds),
    )  # fmt: skip


def _nines(quantile: float) -> float:
    return -math.log10(1 - quantile)


def _latency_axis(measured_ms: Sequence[float], limit_ms: float | None) -> Axis:
    highest = max(*measured_ms, limit_ms or 0)
    lowest = min(ms for ms in (*measured_ms, highest) if ms > 0) if highest > 0 else 1.0
    typical = sorted(measured_ms)[len(measured_ms) // 2]
    if highest > _FLAT * max(typical, lowest):
        return Axis(lowest * 0.8, highest * 1.4, 226, svg.TOP, log=True)
    return Axis(0, highest * 1.15 or 1.0, 226, svg.TOP)


def _limit(x: Axis, y: Axis, limit_ms: float | None) -> list[Markup]:
    if limit_ms is None:
        return []
    at = y.at(limit_ms)
    words = f"limit for p99: {number(limit_ms)} ms"
    return [svg.rule((x.start, at), (x.end, at), "limit"), svg.text(x.end, at - 6, words, "end")]


def _p99(x: Axis, y: Axis, p99_ms: float) -> list[Markup]:
    across, up = x.at(_nines(0.99)), y.at(p99_ms)
    dot = svg.tag("circle", cx=across, cy=up, r=4.5, class_="dot challenger")
    words = f"p99 {number(p99_ms)} ms"
    below = up + 18 if up < y.start - 26 else up - 10
    return [dot, svg.text(across - 8, below if up < y.end + 30 else up - 10, words, "end strong")]


def _highest(seconds: Sequence[Second]) -> float:
    return max((s.p99_ms or 0 for s in seconds if _real(s.p99_ms)), default=0) or 1.0


def _real(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _lines(seconds: Sequence[Second], x: Axis, y: Axis) -> list[Markup]:
    drawn = []
    for kind in ("p99", "p50"):
        marks = [(x.at(s.second + 0.5), getattr(s, f"{kind}_ms")) for s in seconds]
        points = [(at, y.at(ms)) for at, ms in marks if _real(ms)]
        drawn.append(svg.line(points, kind))
    return drawn


def _bars(seconds: Sequence[Second], x: Axis, y: Axis) -> list[Markup]:
    drawn = []
    for second in seconds:
        left, right = x.at(second.second), x.at(second.second + 1)
        width = max(right - left - 1, 0.8)
        top, split = y.at(second.requests), y.at(second.errors)
        drawn.append(svg.bar(left, top, width, split - top, "requests"))
        if second.errors:
            drawn.append(svg.bar(left, split, width, y.start - split, "errors"))
    return drawn


def _ms(value: float | None) -> str:
    return measured(value if _real(value) else None, "ms")


def _tip(second: Second) -> str:
    told = f"second {second.second}: {second.requests:,} requests, {second.errors:,} errors"
    return f"{told}, p50 {_ms(second.p50_ms)}, p99 {_ms(second.p99_ms)}"


def _row(second: Second) -> tuple[str, ...]:
    counts = (f"{second.second}", f"{second.requests:,}", f"{second.errors:,}")
    return (*counts, _ms(second.p50_ms), _ms(second.p99_ms), _ms(second.max_ms))
