"""Options that typer and fire read off a function's parameters."""

import ast
from collections.abc import Iterator, Mapping

from ml_pipeline.settings.survey.constants import called, constant, texts_of
from ml_pipeline.settings.survey.options import Option

_DECLARES = frozenset({"Option", "Argument"})


def named_options(function: ast.FunctionDef) -> tuple[Option, ...]:
    """What fire makes of a function: every parameter by its name."""
    return tuple(
        Option(
            name=f"--{name}",
            variable=name,
            default=constant(default, {}),
            required=default is None,
        )
        for name, _, default in _parameters(function)
        if name != "self"
    )


def typed_options(function: ast.FunctionDef, known: Mapping[str, object]) -> tuple[Option, ...]:
    """What typer makes of a function: options, and arguments of what has no default."""
    found = (_typed(*parameter, known) for parameter in _parameters(function))
    return tuple(option for option in found if option)


def _parameters(
    function: ast.FunctionDef,
) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Name, annotation and default of each parameter."""
    plain = [*function.args.posonlyargs, *function.args.args]
    lacking = [None] * (len(plain) - len(function.args.defaults))
    for one, default in zip(plain, [*lacking, *function.args.defaults], strict=True):
        yield one.arg, one.annotation, default
    for one, kept in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        yield one.arg, one.annotation, kept


def _typed(
    name: str,
    annotation: ast.expr | None,
    default: ast.expr | None,
    known: Mapping[str, object],
) -> Option | None:
    text = ast.unparse(annotation) if annotation is not None else ""
    if text.endswith("Context"):
        return None
    told = _declaration(annotation, default)
    older = told is default and told is not None
    values = told.args if told is not None else []
    if older:
        default, values = (values[0] if values else None), values[1:]
    spelled = [one for one in texts_of(values) if one.startswith("-")]
    spelled = [part for one in spelled for part in one.split("/")]
    demanded = default is None or (isinstance(default, ast.Constant) and default.value is ...)
    argument = called(told) == "Argument" if told is not None else demanded
    flag = "bool" in text and not argument
    dashed = spelled or ["--" + name.replace("_", "-")]
    dashed.sort(key=lambda one: not one.startswith("--"))
    return Option(
        name=name if argument else dashed[0],
        also=() if argument else tuple(dashed[1:]),
        variable=name,
        default=None if flag or demanded else constant(default, known),
        required=demanded,
        flag=flag,
        file="Path" in text,
        reads=told is not None and _must_exist(told),
    )


def _declaration(annotation: ast.expr | None, default: ast.expr | None) -> ast.Call | None:
    """`typer.Option(...)`, as the default or in `Annotated[...]`."""
    if isinstance(default, ast.Call) and called(default) in _DECLARES:
        return default
    inside = ast.walk(annotation) if annotation is not None else ()
    calls = (node for node in inside if isinstance(node, ast.Call))
    return next((call for call in calls if called(call) in _DECLARES), None)


def _must_exist(call: ast.Call) -> bool:
    return any(word.arg == "exists" and constant(word.value, {}) is True for word in call.keywords)
