"""Lists of names a script fixes in its source, such as `FEATURES = NUMBERS + ["hour"]`."""

import ast
from collections.abc import Mapping, Sequence


def text_lists(tree: ast.AST) -> Mapping[str, Sequence[str]]:
    r"""Every name that is assigned a list or tuple of constant texts, wherever that is.

    >>> text_lists(ast.parse('A = ["x"]\nB = (*A, "y")\nC = A + ["z"]'))["C"]
    ['x', 'z']
    """
    found: dict[str, Sequence[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        texts = _texts(value, found)
        if texts:
            found |= {target.id: texts for target in targets if isinstance(target, ast.Name)}
    return found


def _texts(node: ast.expr, known: Mapping[str, Sequence[str]]) -> list[str] | None:
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


def _joined(nodes: Sequence[ast.expr], known: Mapping[str, Sequence[str]]) -> list[str] | None:
    parts = [_texts(node, known) for node in nodes]
    return None if None in parts else [text for part in parts if part for text in part]
