"""Single numbers against their limits: the comparison, drift, residuals."""

from collections.abc import Sequence

from markupsafe import Markup

from ml_pipeline.reporting.contest import Contest
from ml_pipeline.reporting.plots import svg
from ml_pipeline.reporting.plots.svg import Axis, Figure, Key
from ml_pipeline.reporting.recordings import Predictions
from ml_pipeline.reporting.wording import MINUS, number

_ROW = 36.0
#: Columns drawn; the table beneath holds them all.
_MOST_COLUMNS = 25
_BINS = 41


def comparison(contest: Contest) -> Figure:
    """Challenger, champion and what else the challenger was held against, on one axis."""
    shown = _held_against(contest)
    limits = contest.limits
    x = _around([v for *_, v in shown] + [v for _, v in limits] + list(contest.bounds or ()))
    head = svg.TOP + 15 * len(limits)
    floor = head + _ROW * len(shown)
    parts = [_scale(x, floor)]
    parts += [
        svg.rule((x.at(limit), floor), (x.at(limit), svg.TOP + 15 * place - 8), "limit")
        for place, (_, limit) in enumerate(limits)
    ]
    for place, (name, limit) in enumerate(limits):
        at, y = x.at(limit), svg.TOP + 15 * place
        side = "end" if at > (x.start + x.end) / 2 else ""
        words = f"limit, by {name}: {number(limit)}"
        parts += [svg.text(at - 6 if side else at + 6, y, words, side)]
    for place, (kind, name, value) in enumerate(shown):
        y = head + _ROW * (place + 0.6)
        parts += [svg.text(x.start - 12, y + 4, name, "end")]
        parts += [svg.rule((x.start, y), (x.end, y), "grid")]
        if kind == "challenger" and contest.bounds is not None:
            low, high = (x.at(bound) for bound in contest.bounds)
            parts += [svg.rule((low, y), (high, y), "whisker challenger")]
        parts += _point(x.at(value), y, kind, number(value))
    told = ", ".join(f"{name.lower()} {number(value)}" for _, name, value in shown)
    told += "; the bar is the 95 % interval" if contest.bounds is not None else ""
    return Figure(
        id="comparison", title=f"{contest.metric} on the same held-out rows",
        summary=f"{told}.".capitalize(), svg=svg.picture(parts, told, floor + 30, "rows"),
    )  # fmt: skip


def _held_against(contest: Contest) -> list[tuple[str, str, float]]:
    """(kind, name, value); the naive baseline only where it is what there is to beat."""
    candidates = (
        ("challenger", "Challenger", contest.challenger),
        ("champion", "Champion", contest.champion),
        ("kept", "Best version kept", contest.best_kept),
        ("kept", "Naive baseline", contest.baseline if contest.champion is None else None),
    )
    return [(kind, name, value) for kind, name, value in candidates if value is not None]


def drift(psi: dict[str, float], limit: float | None) -> Figure | None:
    """Population stability index of each column, the largest first."""
    if not psi:
        return None
    ranked = sorted(psi.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked[:_MOST_COLUMNS]
    x = Axis(0, max(shown[0][1], limit or 0, 0.01) * 1.15, 150, svg.WIDTH - 70)
    floor = svg.TOP + 8 + 20 * len(shown)
    parts = [_scale(x, floor)]
    for place, (column, value) in enumerate(shown):
        y = svg.TOP + 8 + 20 * place
        over = limit is not None and value > limit
        name = column if len(column) <= 20 else f"{column[:19]}…"
        parts += [svg.text(x.start - 8, y + 14, name, "end")]
        parts += [
            svg.bar(x.start, y + 3, max(x.at(value) - x.start, 1), 14, "over" if over else "psi")
        ]
        words = f"{value:.3f}" + (" over" if over else "")
        parts += [svg.text(x.at(value) + 5, y + 14, words, "strong" if over else "")]
    if limit is not None:
        parts += [svg.rule((x.at(limit), floor), (x.at(limit), svg.TOP + 2), "limit")]
        parts += [svg.text(x.at(limit), svg.TOP - 4, f"limit {number(limit)}", "middle")]
    moved = [column for column, value in ranked if limit is not None and value > limit]
    summary = f"{len(moved)} of {len(ranked)} columns beyond the limit"
    summary += f": {', '.join(moved[:5])}." if moved else "."
    return Figure(
        id="drift", title="Drift of each column (PSI)", summary=summary,
        svg=svg.picture(parts, summary, floor + 30, "rows"),
        head=("Column", "PSI"), rows=tuple((column, f"{value:.4f}") for column, value in ranked),
    )  # fmt: skip


def residuals(predictions: Predictions) -> Figure | None:
    """How far predictions were off on held-out rows: prediction minus truth."""
    off = {"challenger": _differences(predictions.truth, predictions.challenger)}
    if predictions.champion is not None:
        off["champion"] = _differences(predictions.truth, predictions.champion)
    every = sorted(abs(value) for values in off.values() for value in values)
    if not every:
        return None
    # The outermost percent ends in the edge bins: one wild row must not flatten the rest.
    reach = every[min(int(len(every) * 0.99), len(every) - 1)] or 1.0
    counts = {role: _counted(values, reach) for role, values in off.items()}
    x = Axis(-reach, reach, svg.LEFT, svg.WIDTH - svg.RIGHT)
    y = Axis(0, max(max(c) for c in counts.values()) * 1.1, 206, svg.TOP)
    ticks = [(tick, f"{tick:,.6g}".replace("-", MINUS)) for tick in x.ticks(6)]
    parts = [svg.frame(x, y, ticks, "rows")]
    for role in reversed(counts):
        points = _outline(counts[role], x, y)
        parts += [svg.area(points, y.start, role), svg.line(points, role)]
    parts += [svg.rule((x.at(0), y.start), (x.at(0), y.end), "zero")]
    means = [f"{role} {number(sum(values) / len(values))}" for role, values in off.items()]
    summary = f"Prediction minus truth, mean: {', '.join(means)}.".replace("-", MINUS)
    return Figure(
        id="residuals", title="Residuals on held-out rows", summary=summary,
        svg=svg.picture(parts, summary, 240),
        keys=tuple(Key(kind=role, label=role) for role in counts),
    )  # fmt: skip


def _around(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    room = (high - low) * 0.2 or abs(high) * 0.1 or 1.0
    return Axis(low - room, high + room, 132, svg.WIDTH - svg.RIGHT - 30)


def _scale(x: Axis, floor: float) -> Markup:
    parts = [svg.rule((x.start, floor), (x.end, floor), "axis")]
    parts += [svg.text(x.at(t), floor + 18, f"{t:,.6g}", "middle") for t in x.ticks(4)]
    return Markup("").join(parts)


def _point(x: float, y: float, kind: str, words: str) -> list[Markup]:
    if kind == "challenger":  # another shape too: colour alone is not seen by everybody
        corners = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 7:.1f},{y:.1f}"
        mark = svg.tag("polygon", points=corners, class_="dot challenger")
    else:
        mark = svg.tag("circle", cx=x, cy=y, r=6.0, class_=f"dot {kind}")
    return [mark, svg.text(x, y - 10, words, "strong middle")]


def _differences(truth: Sequence[float], predicted: Sequence[float]) -> list[float]:
    return [p - t for t, p in zip(truth, predicted, strict=False)]


def _counted(values: Sequence[float], reach: float) -> list[int]:
    counts = [0] * _BINS
    for value in values:
        place = int((value + reach) / (2 * reach) * _BINS)
        counts[min(max(place, 0), _BINS - 1)] += 1
    return counts


def _outline(counts: Sequence[int], x: Axis, y: Axis) -> list[tuple[float, float]]:
    width = (x.end - x.start) / len(counts)
    edges = [(x.start + width * place, y.at(count)) for place, count in enumerate(counts)]
    return [corner for left, top in edges for corner in ((left, top), (left + width, top))]
