"""The engine's API as a GraphQL schema, read from the classes of the Python SDK.

The SDK builds its queries against the schema that the engine tells; here it is what the SDK's
own client calls, so that it follows every version of the SDK by itself.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from dagger.client import gen
from graphql import build_schema, introspection_from_schema

SCALARS = {"str": "String", "int": "Int", "float": "Float", "bool": "Boolean"}


@dataclass(frozen=True)
class Field:
    """A field of an object: its arguments by GraphQL name, and what it gives."""

    name: str
    arguments: Mapping[str, str]
    gives: str


@cache
def introspection() -> dict[str, Any]:
    """What the engine would answer when the SDK asks for its schema."""
    return dict(introspection_from_schema(build_schema(sdl())))


def sdl() -> str:
    tree = ast.parse(inspect.getsource(gen))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    kinds = {node.name: _kind(node) for node in classes}
    parts = ["scalar ID", "scalar Anything", "interface Anyone { id: ID }"]
    for node in classes:
        kind, name = kinds[node.name], _graphql_name(node)
        if kind == "enum":
            parts.append(f"enum {name} {{ {' '.join(_members(node))} }}")
        elif kind == "input":
            fields = ", ".join(f"{one}: Anything" for one in _inputs(node))
            parts.append(f"input {name} {{ {fields} }}")
        elif kind == "object":
            parts.append(_object(node, name, kinds))
    return "\n".join(parts)


def _kind(node: ast.ClassDef) -> str:
    bases = {ast.unparse(base) for base in node.bases}
    kinds = {
        "Scalar": "scalar",
        "Enum": "enum",
        "Input": "input",
        "Type": "object",
        "Root": "object",
    }
    return next((kinds[base] for base in sorted(bases) if base in kinds), "")


def _graphql_name(node: ast.ClassDef) -> str:
    for method in _methods(node):
        if method.name == "_graphql_name" and isinstance(method.body[-1], ast.Return):
            return str(ast.literal_eval(method.body[-1].value))
    return "Query" if node.name == "Client" else node.name


def _methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def _members(node: ast.ClassDef) -> list[str]:
    targets = [one.targets[0] for one in node.body if isinstance(one, ast.Assign)]
    names = [one.id for one in targets if isinstance(one, ast.Name)]
    return [name for name in names if name != "__slots__"]


def _inputs(node: ast.ClassDef) -> list[str]:
    return [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)]  # fmt: skip


def _object(node: ast.ClassDef, name: str, kinds: Mapping[str, str]) -> str:
    fields = {one.name: one for method in _methods(node) if (one := _field(method, node, kinds))}
    lines = []
    if name == "Query":
        fields.pop("node", None)
        lines.append("node(id: ID): Anyone")
    for one in fields.values():
        arguments = ", ".join(f"{arg}: {kind}" for arg, kind in one.arguments.items())
        lines.append(f"{one.name}{f'({arguments})' if arguments else ''}: {one.gives}")
    return f"type {name} {{ {' '.join(lines) or 'nothing: Anything'} }}"


def _field(
    method: ast.FunctionDef | ast.AsyncFunctionDef, owner: ast.ClassDef, kinds: Mapping[str, str]
) -> Field | None:
    """The field a method selects, None for one that selects nothing."""
    annotations = {one.arg: one.annotation for one in (*method.args.args, *method.args.kwonlyargs)}
    name, arguments = "", {}
    for node in ast.walk(method):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "Arg" and isinstance(node.args[0], ast.Constant):
            used = next((n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)), "")
            arguments[node.args[0].value] = _argument(annotations.get(used), kinds)
        elif called.endswith(("_select", "execute_sync", "root_select")):
            words = [one.value for one in node.args if isinstance(one, ast.Constant)]
            name = str(words[0]) if words else name
    if not name:
        return None
    return Field(name, arguments, _gives(method, owner, kinds, name))


def _argument(annotation: ast.expr | None, kinds: Mapping[str, str]) -> str:
    text = ast.unparse(annotation).strip("'\"") if annotation is not None else ""
    parts = [part.strip(" '\"") for part in text.split("|") if "None" not in part]
    first = parts[0] if parts else ""
    if first.startswith("list["):
        return f"[{_argument(ast.parse(first[5:-1].strip(), mode='eval').body, kinds)}]"
    if kinds.get(first) in {"enum", "input"}:
        return first
    return SCALARS.get(first, "ID" if kinds.get(first) == "object" else "String")


def _gives(
    method: ast.FunctionDef | ast.AsyncFunctionDef,
    owner: ast.ClassDef,
    kinds: Mapping[str, str],
    name: str,
) -> str:
    text = ast.unparse(method.returns).replace('"', "").replace("'", "") if method.returns else ""
    text = text.split("|")[0].strip()
    listed = text.startswith("list[")
    given = text[5:-1] if listed else text
    if given == "Self":
        given = owner.name
    lazy = isinstance(method, ast.FunctionDef) or listed
    kind = given if kinds.get(given) == "object" and lazy and name != "id" else "Anything"
    return f"[{kind}]" if listed else kind
