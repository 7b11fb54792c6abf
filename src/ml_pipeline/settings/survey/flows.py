"""What a source does with its paths: which it reads as tables, and in which it makes folders."""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ml_pipeline.settings.survey.constants import assignments, called, constant, nodes

_MAKERS = frozenset({"mkdir", "makedirs"})


@dataclass(slots=True, kw_only=True)
class Flows:
    """Names are those of variables and attributes, as `args.rows` is `rows`.

    `read` and `made` are names in the path of a table that is read and of a folder that is made,
    `tables` paths of tables that stand in the source, `filled` what `fillna` is told, `orders`
    labels that a mapping numbers from 0, in that order.
    """

    read: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    tables: list[str] = field(default_factory=list)
    filled: list[str | int | float] = field(default_factory=list)
    orders: list[tuple[str, ...]] = field(default_factory=list)

    def with_those(self, below: Sequence["Flows"]) -> "Flows":
        """These, and those of imported files."""
        each = (self, *below)
        return Flows(
            read=set().union(*(one.read for one in each)),
            made=set().union(*(one.made for one in each)),
            tables=[path for one in each for path in one.tables],
            filled=[value for one in each for value in one.filled],
            orders=[order for one in each for order in one.orders],
        )


def flows(tree: ast.AST, readers: Collection[str], known: Mapping[str, object]) -> Flows:
    """What is seen of one source.

    Args:
        tree: of the source.
        readers: names of functions that read tables.
        known: constants of the source, by name.
    """
    found = Flows()
    assigned = {name: value for names, value in assignments(tree) for name in names}
    for node in nodes(tree):
        if isinstance(node, ast.Dict):
            found.orders += _numbered(node)
        if not isinstance(node, ast.Call):
            continue
        name = called(node)
        if name in readers and node.args:
            found.read |= set(_names(node.args[0], assigned))
            path = constant(node.args[0], known)
            found.tables += [path] if isinstance(path, str) else []
        elif name in _MAKERS:
            found.made |= {
                one for part in (node.func, *node.args) for one in _names(part, assigned)
            }
        elif name == "fillna" and node.args:
            value = constant(node.args[0], known)
            found.filled += [value] if isinstance(value, str | int | float) else []
    return found


def _names(node: ast.expr, assigned: Mapping[str, ast.expr]) -> Iterator[str]:
    """Names in an expression, and in what those were assigned."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Name):
            yield inner.id
            if inner.id in assigned and assigned[inner.id] is not node:
                yield from _names(assigned[inner.id], {})


def _numbered(node: ast.Dict) -> Iterator[tuple[str, ...]]:
    """Labels of `{"a": 0, "b": 1}` and of `{0: "a", 1: "b"}`, in the order of their numbers."""
    pairs = [
        (getattr(key, "value", None), getattr(value, "value", None))
        for key, value in zip(node.keys, node.values, strict=True)
    ]
    for first, second in ((0, 1), (1, 0)):
        found = {pair[second]: pair[first] for pair in pairs if isinstance(pair[first], str)}
        if len(found) == len(pairs) > 1 and set(found) == set(range(len(pairs))):
            yield tuple(str(found[place]) for place in range(len(pairs)))
