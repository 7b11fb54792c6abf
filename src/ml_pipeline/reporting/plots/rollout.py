"""The rollout: who got the traffic, and how each slot fared."""

import math
from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from ml_pipeline.reporting.plots import svg
from ml_pipeline.reporting.plots.svg import Axis, Figure, Key
from ml_pipeline.reporting.recordings import Event, Rollout, Sample
from ml_pipeline.reporting.wording import ABSENT, duration, measured

#: Points a slot may have before neighbours are added up: more than the plot has room for.
_MOST = 120


def weight(rollout: Rollout) -> Figure | None:
    """The challenger's share of the traffic over time, with what happened."""
    if not rollout.events:
        return None
    x = _time(rollout)
    y = Axis(0, 100, 206, svg.TOP)
    points, share = [(x.at(0), y.at(0))], 0.0
    for at_s, moved_to in _steps(rollout):
        points.append((x.at(at_s), y.at(share)))
        share = moved_to
        points.append((x.at(at_s), y.at(share)))
    points.append((x.end, y.at(share)))
    parts = [svg.frame(x, y, _moments(x), "% of the traffic to the challenger")]
    parts += [svg.area(points, y.start, "challenger"), svg.line(points, "challenger")]
    parts += [part for event in rollout.events for part in _event(event, rollout, x, y)]
    summary = _told(rollout)
    return Figure(
        id="weight", title="Traffic", summary=summary, svg=svg.picture(parts, summary, 240),
        head=("After", "Event", "Challenger", "What"),
        rows=tuple(_row(event, rollout) for event in rollout.events),
    )  # fmt: skip


def errors(rollout: Rollout, limit_share: float | None) -> Figure | None:
    """Share of requests that failed, slot by slot, over time."""
    slots = _slots(rollout)
    if not slots:
        return None
    shares = {
        role: [(s.at_s, 100 * s.errors / s.requests) for s in samples if s.requests]
        for role, samples in slots
    }
    worst = max((pct for points in shares.values() for _, pct in points), default=0.0)
    highest = max(worst, 100 * (limit_share or 0), 0.5) * 1.2
    parts, x, y = _lines(rollout, shares, highest, "% of requests failed")
    if limit_share is not None:
        at = y.at(100 * limit_share)
        parts += [svg.rule((x.start, at), (x.end, at), "limit")]
        parts += [svg.text(x.start + 6, at - 5, f"limit {100 * limit_share:g} %")]
    summary = "; ".join(_sum(role, samples) for role, samples in slots).capitalize() + "."
    return Figure(
        id="rollout-errors", title="Errors during the rollout", summary=summary,
        svg=svg.picture(parts, summary, 240), keys=_keys(shares),
        head=("After", "Slot", "Requests", "Errors", "Slow", "p99"),
        rows=tuple(_sample(role, s) for role, samples in slots for s in samples),
    )  # fmt: skip


def tail(rollout: Rollout) -> Figure | None:
    """p99 latency of each slot over time; None when the platform does not tell it."""
    slots = _slots(rollout)
    points = {
        role: [(s.at_s, s.p99_ms) for s in samples if s.p99_ms and math.isfinite(s.p99_ms)]
        for role, samples in slots
    }
    slowest = max((ms for each in points.values() for _, ms in each), default=0.0)
    if not slowest:
        return None
    parts, *_ = _lines(rollout, points, slowest * 1.15, "ms, p99")
    summary = f"p99 latency by slot during the rollout, at most {measured(slowest, 'ms')}."
    return Figure(
        id="rollout-latency", title="Latency during the rollout", summary=summary,
        svg=svg.picture(parts, summary, 240), keys=_keys(points),
    )  # fmt: skip


def totals(rollout: Rollout) -> tuple[tuple[str, str], ...]:
    """(label, value) rows: what each slot answered in all, and how the rollout ended."""
    rows = []
    for role, samples in _slots(rollout):
        slot = rollout.challenger if role == "challenger" else rollout.champion
        requests, failed = sum(s.requests for s in samples), sum(s.errors for s in samples)
        slow = [s.slow for s in samples if s.slow is not None]
        rows.append((f"Requests, {role} ({slot})", f"{requests:,}"))
        rows.append((f"Failed, {role}", f"{failed:,}"))
        rows += [(f"Too slow, {role}", f"{sum(slow):,}")] if slow else []
    return (*rows, ("Ended with", rollout.verdict or ABSENT))


def _time(rollout: Rollout) -> Axis:
    moments = [e.at_s for e in rollout.events] + [s.at_s for s in rollout.samples]
    return Axis(0, max([*moments, 0.0]) * 1.02 or 1.0, svg.LEFT, svg.WIDTH - svg.RIGHT)


def _moments(x: Axis) -> list[tuple[float, str]]:
    unit, size = ("min", 60) if x.high > 300 else ("s", 1)
    ticks = Axis(x.low / size, x.high / size, x.start, x.end).ticks(6)
    return [(tick * size, f"{tick:g} {unit}") for tick in ticks]


def _event(event: Event, rollout: Rollout, x: Axis, y: Axis) -> list[Markup]:
    at = x.at(event.at_s)
    tip = svg.tag("title", f"{duration(event.at_s)}: {event.event} {event.message}".strip())
    if event.event == "rolled-back":
        words = svg.text(*_beside(at, y.end + 12), "rolled back", f"{_side(at)} strong bad")
        return [svg.tag("line", tip, x1=at, y1=y.start, x2=at, y2=y.end, class_="alarm"), words]
    share = event.share_pct(rollout.challenger)
    if event.event == "weights" and share is not None:
        label = svg.text(*_beside(at, y.at(share) - 6), f"{share:g} %", _side(at))
        dot = svg.tag("circle", tip, cx=at, cy=y.at(share), r=4.5, class_="dot challenger")
        return [dot, label]
    mark = svg.tag("circle", tip, cx=at, cy=y.start, r=3.5, class_="dot event")
    return [mark]


def _side(at: float) -> str:
    return "end" if at > svg.WIDTH - 110 else ""


def _beside(at: float, y: float) -> tuple[float, float]:
    return (at - 7, y) if _side(at) else (at + 7, y)


def _steps(rollout: Rollout) -> list[tuple[float, float]]:
    shares = [(event.at_s, event.share_pct(rollout.challenger)) for event in rollout.events]
    return [(at_s, share) for at_s, share in shares if share is not None]


def _told(rollout: Rollout) -> str:
    way = " → ".join(f"{share:g}" for _, share in _steps(rollout))
    verdict = f": {rollout.verdict}" if rollout.verdict else ""
    return f"The challenger's share went {way or 'nowhere'} %{verdict}."


def _row(event: Event, rollout: Rollout) -> tuple[str, ...]:
    share = event.share_pct(rollout.challenger)
    told = ABSENT if share is None else f"{share:g} %"
    return duration(event.at_s), event.event, told, event.message


def _slots(rollout: Rollout) -> list[tuple[str, list[Sample]]]:
    roles = [("challenger", rollout.challenger), ("champion", rollout.champion)]
    found = ((role, [s for s in rollout.samples if s.slot == slot]) for role, slot in roles)
    return [(role, _thinned(samples)) for role, samples in found if samples]


def _thinned(samples: Sequence[Sample]) -> list[Sample]:
    """At most `_MOST` samples; neighbours are added up and keep their worst latency."""
    width = -(-len(samples) // _MOST)
    groups = groupby(enumerate(samples), key=lambda pair: pair[0] // width)
    return [_added([sample for _, sample in group]) for _, group in groups]


def _added(samples: Sequence[Sample]) -> Sample:
    slow = [s.slow for s in samples if s.slow is not None]
    p99 = [s.p99_ms for s in samples if s.p99_ms is not None]
    return samples[-1].model_copy(
        update={
            "requests": sum(s.requests for s in samples),
            "errors": sum(s.errors for s in samples),
            "slow": sum(slow) if len(slow) == len(samples) else None,
            "p99_ms": max(p99, default=None),
        }
    )


def _lines(
    rollout: Rollout, series: dict[str, list[tuple[float, float]]], highest: float, unit: str
) -> tuple[list[Markup], Axis, Axis]:
    x, y = _time(rollout), Axis(0, highest, 206, svg.TOP)
    parts = [svg.frame(x, y, _moments(x), unit)]
    parts += [  # the challenger last, so on top
        svg.line([(x.at(at), y.at(value)) for at, value in series[role]], role)
        for role in reversed(series)
    ]
    moments = sorted({at for points in series.values() for at, _ in points})
    by_role = {role: dict(points) for role, points in series.items()}
    tips = [
        (at, f"{duration(at)}: " + ", ".join(
            f"{role} {values[at]:.3g}" for role, values in by_role.items() if at in values))
        for at in moments
    ]  # fmt: skip
    back = [e.at_s for e in rollout.events if e.event == "rolled-back"]
    parts += [svg.rule((x.at(at), y.start), (x.at(at), y.end), "alarm") for at in back]
    return [*parts, svg.hits(x, y, tips)], x, y


def _keys(series: dict[str, list[tuple[float, float]]]) -> tuple[Key, ...]:
    return tuple(Key(kind=role, label=role) for role in series)


def _sum(role: str, samples: Sequence[Sample]) -> str:
    requests, failed = sum(s.requests for s in samples), sum(s.errors for s in samples)
    share = f" ({100 * failed / requests:.2g} %)" if requests and failed else ""
    return f"{role} {requests:,} requests, {failed:,} failed{share}"


def _sample(role: str, sample: Sample) -> tuple[str, ...]:
    slow = ABSENT if sample.slow is None else f"{sample.slow:,}"
    counts = (f"{sample.requests:,}", f"{sample.errors:,}", slow)
    return (duration(sample.at_s), role, *counts, measured(sample.p99_ms, "ms"))
