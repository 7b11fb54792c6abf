"""The keys a configuration may hold: where they stand, what they allow, what they mean."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo

from ml_pipeline.domain.policies.base import Policy
from ml_pipeline.settings.model import Configuration
from ml_pipeline.settings.words import choices, kinds_of, words

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A key with one value; `metadata` holds its bounds as pydantic keeps them."""

    annotation: Any
    metadata: tuple[Any, ...] = ()

    @property
    def allowed(self) -> str:
        """What the value may be, in words that follow "must be"."""
        return words(self.annotation, self.metadata)

    @property
    def is_text(self) -> bool:
        """Whether only text is allowed, so that `3.10` means the text and not the number."""
        kinds = kinds_of(self.annotation)
        return len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], str)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a closed set, none for an open one."""
        return choices(self.annotation, self.metadata)

    def entry(self, depth: int) -> "Leaf":
        """What an entry of the list, or of the list in the list, may be."""
        leaf = self
        for _ in range(depth):
            (kind,) = kinds_of(leaf.annotation)
            inner = get_args(kind)
            if get_origin(kind) is Annotated:
                inner = get_args(inner[0])
            leaf = Leaf(annotation=inner[0])
        return leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose keys the project names itself, such as `[hyperparameters]`."""

    each: "Node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table with known keys."""

    policy: type[Policy]
    children: Mapping[str, "Node"]


Node = Leaf | Table | Section


@cache
def root() -> Section:
    """The section every configuration is."""
    return _section(Configuration)


def _section(policy: type[Policy]) -> Section:
    children = {
        name: _node(field.annotation, tuple(field.metadata))
        for name, field in policy.model_fields.items()
    }
    return Section(policy=policy, children=children)


def _node(annotation: Any, metadata: tuple[Any, ...] = ()) -> Node:
    if isinstance(annotation, type) and issubclass(annotation, Policy):
        return _section(annotation)
    if get_origin(annotation) is dict:
        return Table(each=_node(get_args(annotation)[1]))
    return Leaf(annotation=annotation, metadata=metadata)


def find(path: Sequence[str]) -> Node | None:
    """The node at a path, None when there is no such key."""
    node: Node = root()
    for part in path:
        if isinstance(node, Section) and part in node.children:
            node = node.children[part]
        elif isinstance(node, Table):
            node = node.each
        else:
            return None
    return node


def leaves(node: Node | None = None, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Every key with one value, in the order of the configuration; `<name>` is the project's."""
    node = node or root()
    if isinstance(node, Leaf):
        yield path, node
    elif isinstance(node, Table):
        yield from leaves(node.each, (*path, "<name>"))
    else:
        for name, child in node.children.items():
            yield from leaves(child, (*path, name))


def field_at(path: Path) -> FieldInfo | None:
    """The policy field a key sets, None for an entry of a table with free names."""
    above = find(path[:-1])
    return above.policy.model_fields[path[-1]] if isinstance(above, Section) else None


def required(path: Path) -> Iterator[Path]:
    """The keys that must be set at or under a path."""
    node = find(path)
    if not isinstance(node, Section):
        yield path
        return
    for name, field in node.policy.model_fields.items():
        if field.is_required():
            yield from required((*path, name))


def meaning(path: Path) -> str:
    """The `#:` comment above the field a key sets; empty when it has none."""
    above = find(path[:-1])
    return meanings(above.policy).get(path[-1], "") if isinstance(above, Section) else ""


@cache
def meanings(policy: type[Policy]) -> Mapping[str, str]:
    """The `#:` comments above a policy's fields, by field."""
    source = textwrap.dedent(inspect.getsource(policy))
    lines = source.splitlines()
    found = {}
    for statement in ast.parse(source).body[0].body:  # type: ignore[attr-defined]  # a class
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = _comment_above(lines, statement.lineno - 1)
    return found


def _comment_above(lines: Sequence[str], index: int) -> str:
    first = index
    while first > 0 and lines[first - 1].lstrip().startswith("#:"):
        first -= 1
    return " ".join(line.strip().removeprefix("#:").strip() for line in lines[first:index])
