"""What a script fixes in its source: constants, and lists of names such as `A + ["hour"]`."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

_TELLING = (ast.expr, ast.stmt)
Lists = Mapping[str, Sequence[str]]


@lru_cache(maxsize=2)
def nodes(tree: ast.AST) -> Sequence[ast.AST]:
    """Every node of a whole source but operators and the like.

    It is kept: each question about a source looks at all of them.
    """
    return tuple(node for node in ast.walk(tree) if isinstance(node, _TELLING))


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


def texts_of(nodes: Sequence[ast.AST | None]) -> Iterator[str]:
    """Those of the nodes that are constant texts."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def constant(node: ast.AST | None, known: Mapping[str, object]) -> object:
    """The constant an expression stands for, also of `Path("a")`; None when it is none.

    >>> constant(ast.parse("-1").body[0].value, {}), constant(ast.parse("A").body[0].value, {})
    (-1, None)
    """
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Call) and called(node) == "Path" and len(node.args) == 1:
        return constant(node.args[0], known)
    try:
        value: object = ast.literal_eval(node) if isinstance(node, ast.expr) else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return None if isinstance(value, list | tuple | dict | set) else value


def constants(tree: ast.AST) -> Mapping[str, object]:
    """Every name that is assigned a constant, wherever that is."""
    found: dict[str, object] = {}
    for names, value in assignments(tree):
        one = constant(value, found)
        if one is not None:
            found |= dict.fromkeys(names, one)
    return found


def text_lists(tree: ast.AST, known: Lists | None = None) -> Lists:
    r"""Every name that is assigned a constant text, or a list or tuple of such.

    Args:
        tree: of the source.
        known: lists of other files, for names this one imports.

    >>> text_lists(ast.parse('A = ["x"]\nB = (*A, "y")\nC = A + ["z"]'))["C"]
    ['x', 'z']
    """
    elsewhere = known or {}
    found: dict[str, Sequence[str]] = {}
    for names, value in assignments(tree):
        texts = _texts(value, {**elsewhere, **found})
        if texts:
            found |= dict.fromkeys(names, texts)
    return found


def selections(tree: ast.AST, known: Lists) -> Lists:
    """Lists that something is subscripted with, as `frame[NUMBERS + ["hour"]]`, by their source."""
    return {
        ast.unparse(node.slice): texts
        for node in nodes(tree)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant | ast.Tuple)
        if (texts := _texts(node.slice, known))
    }


def assignments(tree: ast.AST) -> Iterator[tuple[Sequence[str], ast.expr]]:
    """Names and the value they are assigned."""
    for node in nodes(tree):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if names:
            yield names, value


def _texts(node: ast.expr, known: Lists) -> list[str] | None:
    """The texts an expression lists, None when that cannot be told."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else None
    if isinstance(node, ast.Starred):
        return _texts(node.value, known)
    if isinstance(node, ast.Name):
        return list(known[node.id]) if node.id in known else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([node.left, node.right], known)
    if isinstance(node, ast.List | ast.Tuple):
        return _joined(node.elts, known)
    return None


def _joined(nodes: Sequence[ast.expr], known: Lists) -> list[str] | None:
    parts = [_texts(node, known) for node in nodes]
    return None if None in parts else [text for part in parts if part for text in part]
