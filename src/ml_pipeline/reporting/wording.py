"""Numbers, durations and moments as a reader wants them."""

from datetime import UTC, datetime

from ml_pipeline.domain.evidence import Check

#: Shown where something was not measured; never a number in its place.
ABSENT = "—"
MINUS = "\u2212"


def number(value: float | str | None) -> str:
    """A value with four significant digits and thousands separators.

    >>> number(1234567), number(0.05), number(2.5000001), number(1e-9), number(None)
    ('1,234,567', '0.05', '2.5', '1e-09', '—')
    """
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.1f}"
    return f"{value:.4g}"


def signed_pct(share: float) -> str:
    """A relative change with its sign; a real minus sign, as wide as the plus.

    >>> signed_pct(0.0123), signed_pct(-0.5) == f"{MINUS}50.00 %"
    ('+1.23 %', True)
    """
    return f"{100 * share:+.2f} %".replace("-", MINUS)


def measured(value: float | str | None, unit: str) -> str:
    """A value with its unit, the unit left out where nothing was measured.

    >>> measured(12.0, "ms"), measured(None, "ms")
    ('12 ms', '—')
    """
    return f"{number(value)} {unit}".rstrip() if value is not None else ABSENT


def verdict_of(check: Check) -> str:
    """A check in one line: what was measured, against what."""
    parts = [check.name]
    if check.value is not None or check.limit is not None:
        parts.append(f"{measured(check.value, check.unit)} (limit {number(check.limit)})")
    return ": ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in the two largest units.

    >>> duration(0.0421), duration(9.96), duration(75), duration(3725)
    ('42 ms', '10.0 s', '1 min 15 s', '1 h 02 min')
    """
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def utc(moment: datetime) -> datetime:
    """The moment in UTC; one that names no zone is taken as UTC, as all evidence is."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def when(moment: datetime) -> str:
    """A moment to the second, with its zone.

    >>> when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02 03:04:05 UTC'
    """
    return f"{utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def size(count: int) -> str:
    """Bytes in a unit that keeps the number short.

    >>> size(512), size(20_480), size(3_500_000)
    ('512 B', '20 kB', '3.5 MB')
    """
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1000:.0f} kB"
    return f"{count / 1_000_000:.1f} MB"


def line(text: str, longest: int = 300) -> str:
    r"""Text on one line, cut with an ellipsis; of several lines the last, which says why, stays.

    >>> line("a\n  b"), line("abcdef", longest=4), line("first\nmore\nlast", longest=14)
    ('a b', 'abc…', 'first m … last')
    """
    flat = " ".join(text.split())
    if len(flat) <= longest:
        return flat
    last = " ".join(text.strip().splitlines()[-1].split())
    if len(last) == len(flat):
        return f"{flat[: longest - 1]}…"
    most = 2 * longest // 3
    last = last if len(last) <= most else f"{last[: most - 1]}…"
    return f"{flat[: longest - len(last) - 3].rstrip()} … {last}"
