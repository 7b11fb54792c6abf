"""A commented TOML page, written line by line."""

import datetime as dt
import json
import textwrap
from collections.abc import Mapping, Sequence

from ml_pipeline.settings.faults import dotted, quoted

_WIDTH = 96


class Page:
    """Lines of TOML; a value that needs eyes gets a `# check:` above it."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def section(self, name: str, about: str) -> None:
        """Begin a table."""
        self._lines += ["", f"[{name}]"]
        self.note(about)

    def gap(self) -> None:
        """An empty line."""
        self._lines.append("")

    def note(self, text: str, *, indent: str = "") -> None:
        """A comment."""
        mark = f"{indent}# "
        self._lines += textwrap.wrap(
            text, _WIDTH, initial_indent=mark, subsequent_indent=mark, break_on_hyphens=False
        )

    def set(self, key: str, value: object, *, check: str = "", note: str = "") -> None:
        """A key with its value."""
        if note:
            self.note(note)
        if check:
            self.note(f"check: {check}")
        self._lines.append(f"{dotted((key,))} = {literal(value)}")

    def listing(
        self, key: str, taken: Sequence[object], offered: Sequence[tuple[object, str]]
    ) -> None:
        """A list, an entry a line; offered entries stand in it as comments, each with its why."""
        if not offered:
            self._lines.append(f"{dotted((key,))} = {literal(list(taken))}")
            return
        self._lines.append(f"{dotted((key,))} = [")
        self._lines += [f"  {literal(value)}," for value in taken]
        for value, why in offered:
            self.note(why, indent="  ")
            self._lines.append(f"  # {literal(value)},")
        self._lines.append("]")

    def offer(self, key: str, value: object, *, why: str) -> None:
        """A key that is left out, ready to be taken in by removing its `# `."""
        self.note(why)
        self._lines.append(f"# {dotted((key,))} = {literal(value)}")

    def fill_in(self, key: str, example: object, *, why: str) -> None:
        """A key nobody but the user can set."""
        self.offer(key, example, why=f"FILL IN: {why}")

    @property
    def text(self) -> str:
        """The whole page."""
        return "\n".join(self._lines).strip() + "\n"


def literal(value: object) -> str:
    """A value as TOML.

    >>> literal({"type": "number", "max": 3.5}), literal(["a", True])
    ('{ type = "number", max = 3.5 }', '["a", true]')
    """
    if isinstance(value, Mapping):
        pairs = (f"{dotted((str(key),))} = {literal(one)}" for key, one in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(one) for one in value)}]"
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return quoted(value) if isinstance(value, str) else json.dumps(value)
