"""The few things a plot is made of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

#: Width of every plot in user units: the page scales it, and enlarges its text on a telephone.
WIDTH = 560.0
LEFT, RIGHT, TOP = 52.0, 22.0, 22.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One entry of a legend; `kind` is the class the style sheet colours."""

    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot and what it says in words and numbers.

    `summary` is read out in the plot's place; `head` and `rows` are its data.
    """

    id: str
    title: str
    summary: str
    svg: Markup
    keys: tuple[Key, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps `low`-`high` to `start`-`end` in user units, by logarithm where asked."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; values outside end at the edge."""
        low, high, value = (self._scaled(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> tuple[float, ...]:
        """Round values within the axis, about as many as wanted."""
        if not self.log:
            return _round_steps(self.low, self.high, wanted)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for within in ((1, 2, 5), (1, 3), (1,)):
            found = [m * 10.0**d for d in decades for m in within]
            found = [tick for tick in found if self.low <= tick <= self.high]
            if len(found) <= wanted + 2:
                break
        return tuple(found)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value


def _round_steps(low: float, high: float, wanted: int) -> tuple[float, ...]:
    if high <= low:
        return (low,)
    rough = (high - low) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(m for m in (1, 2, 5, 10) if rough <= m * unit)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(n * step, 12) for n in range(first, last + 1))


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; text is escaped, `class_` is `class`, other underscores are hyphens."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        shown = f"{value:.1f}" if isinstance(value, float) else value
        parts.append(f' {key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    inside = "".join(escape(child) for child in children)
    return Markup(f"{''.join(parts)}>{inside}</{name}>")  # noqa: S704 - every part is escaped


def text(x: float, y: float, words: str, kind: str = "") -> Markup:
    """Words at a place; `kind` may hold `end`, `middle`, `strong`, or a series' name."""
    return tag("text", words, x=x, y=y, class_=f"label {kind}".strip())


def line(points: Iterable[tuple[float, float]], kind: str) -> Markup:
    """A line through points; a dot where there is only one."""
    points = list(points)
    if len(points) == 1:
        return tag("circle", cx=points[0][0], cy=points[0][1], r=4.5, class_=f"dot {kind}")
    return tag("polyline", points=_joined(points), class_=f"line {kind}")


def area(points: Sequence[tuple[float, float]], floor: float, kind: str) -> Markup:
    """The area between points and the floor."""
    closed = [(points[0][0], floor), *points, (points[-1][0], floor)]
    return tag("polygon", points=_joined(closed), class_=f"area {kind}")


def rule(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    """A straight line."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=kind)


def bar(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A filled rectangle; a negative extent counts as none."""
    size = {"width": max(width, 0.0), "height": max(height, 0.0)}
    return tag("rect", x=x, y=y, **size, class_=kind)


def frame(x: Axis, y: Axis, shown: Sequence[tuple[float, str]], unit: str) -> Markup:
    """Horizontal grid with y labels, and the x labels given as (value, words)."""
    parts = [text(x.start, y.end - 8, unit, "unit")]
    for tick in y.ticks(4):
        at = y.at(tick)
        parts += [rule((x.start, at), (x.end, at), "grid")]
        parts += [text(x.start - 6, at + 4, f"{tick:,.10g}", "end")]
    parts += [rule((x.start, y.start), (x.end, y.start), "axis")]
    for value, words in shown:
        parts += [rule((x.at(value), y.start), (x.at(value), y.start + 4), "axis")]
        parts += [text(x.at(value), y.start + 18, words, "middle")]
    return Markup("").join(parts)


def hits(x: Axis, y: Axis, tips: Sequence[tuple[float, str]]) -> Markup:
    """Invisible strips, one a value on x, that tell their numbers under the pointer."""
    if not tips:
        return Markup()
    places = [x.at(value) for value, _ in tips]
    edges = [x.start, *((a + b) / 2 for a, b in pairwise(places)), x.end]
    strips = zip(pairwise(edges), tips, strict=True)
    return Markup("").join(
        tag("rect", tag("title", tip), x=a, y=y.end, width=max(b - a, 0.1),
            height=y.start - y.end, class_="hit")
        for (a, b), (_, tip) in strips
    )  # fmt: skip


def picture(parts: Iterable[Markup], summary: str, height: float, kind: str = "") -> Markup:
    """The whole plot, announced as one image; `rows` as kind keeps names small on a telephone."""
    return tag(
        "svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img", aria_label=summary, class_=f"plot {kind}".strip(),
    )  # fmt: skip


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
