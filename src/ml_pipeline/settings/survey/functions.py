"""Command lines made of functions with decorators: click and typer."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ml_pipeline.settings.survey.constants import assignments, called, constant, nodes, texts_of
from ml_pipeline.settings.survey.options import CommandLine, Option, declared
from ml_pipeline.settings.survey.signatures import typed_options

_LIBRARIES = frozenset({"click", "rich_click", "asyncclick", "typer"})
#: What click 8.2 and later leave off a function's name.
_ENDINGS = ("_command", "_cmd", "_group", "_grp")


@dataclass(slots=True)
class _App:
    """A click group or a typer app: where it hangs, and what it takes before its commands."""

    above: str = ""
    name: str = ""
    options: tuple[Option, ...] = ()
    typer: bool = False
    called_back: bool = False


@dataclass(slots=True)
class _Command:
    owner: str
    name: str
    options: tuple[Option, ...]
    function: str
    whole: bool = True


@dataclass(slots=True)
class _Seen:
    """Apps by the name they have in the source, and the commands."""

    apps: dict[str, _App] = field(default_factory=dict)
    commands: list[_Command] = field(default_factory=list)

    def path(self, name: str) -> tuple[tuple[str, ...], tuple[Option, ...]]:
        """The words that lead to an app, and the options on the way."""
        words: tuple[str, ...] = ()
        options: tuple[Option, ...] = ()
        passed: set[str] = set()
        while name in self.apps and name not in passed:
            passed.add(name)
            app = self.apps[name]
            words = (app.name, *words) if app.name else words
            options = (*app.options, *options)
            name = app.above
        return words, options


def command_lines(tree: ast.Module, known: Mapping[str, object]) -> Sequence[CommandLine]:
    """Every command of click and typer in a source; none where neither is imported."""
    if not _imports(tree) & _LIBRARIES:
        return []
    seen = _Seen()
    calls = {name: value for names, value in assignments(tree) for name in names}
    for name, value in calls.items():
        if isinstance(value, ast.Call) and called(value) == "Typer":
            seen.apps[name] = _App(typer=True)
    functions = [node for node in nodes(tree) if isinstance(node, ast.FunctionDef)]
    functions.sort(key=lambda function: function.lineno)
    for function in functions:
        _see_function(function, seen, known, calls)
    for call in (node for node in nodes(tree) if isinstance(node, ast.Call)):
        _see_attached(call, seen)
        if called(call) == "run" and call.args:
            _see_run(call, functions, seen, known)
    return [_line(command, seen) for command in seen.commands]


def _line(command: _Command, seen: _Seen) -> CommandLine:
    words, above = seen.path(command.owner)
    app = seen.apps.get(command.owner)
    beside = [one for one in seen.commands if one.owner == command.owner]
    below = any(one.above == command.owner for one in seen.apps.values())
    alone = len(beside) == 1 and not below
    hangs = bool(app) and not (app is not None and app.typer and alone and not app.called_back)
    own = (command.name,) if hangs and command.name else ()
    return CommandLine(
        words=(*words, *own), options=command.options, above=above, whole=command.whole
    )


def _see_function(
    function: ast.FunctionDef,
    seen: _Seen,
    known: Mapping[str, object],
    calls: Mapping[str, ast.expr],
) -> None:
    kinds = {_kind(one): one for one in function.decorator_list}
    main = next((kinds[kind] for kind in ("command", "group", "callback") if kind in kinds), None)
    if main is None:
        return
    kind, owner = _kind(main), _owner(main)
    app = seen.apps.get(owner)
    if app is not None and app.typer:
        options, whole = typed_options(function, known), True
    else:
        options, whole = _decorated(function, known, calls)
    if kind == "callback":
        seen.apps[owner] = replace(app or _App(), options=options, called_back=True)
    elif kind == "group":
        top = owner in _LIBRARIES or not owner
        name = "" if top else _command_name(main, function.name)
        seen.apps[function.name] = _App(above="" if top else owner, name=name, options=options)
    else:
        name = _command_name(main, function.name)
        typer = app is not None and app.typer
        name = name if not typer or _stated(main) else function.name.replace("_", "-").lower()
        if owner and owner not in _LIBRARIES and app is None:
            seen.apps[owner] = _App()
        seen.commands.append(_Command(owner, name, options, function.name, whole))


def _decorated(
    function: ast.FunctionDef, known: Mapping[str, object], calls: Mapping[str, ast.expr]
) -> tuple[tuple[Option, ...], bool]:
    """Options of click's decorators, and whether each decorator was understood."""
    found: list[Option] = []
    whole = True
    for one in function.decorator_list:
        decorator = calls.get(one.id, one) if isinstance(one, ast.Name) else one
        kind = _kind(decorator)
        if isinstance(decorator, ast.Call) and kind in {"option", "argument"}:
            option = declared(decorator, known)
            found += [option] if option else []
        elif kind not in {"command", "group", "pass_context", "pass_obj", "version_option"}:
            whole = False
    return tuple(found), whole


def _see_attached(call: ast.Call, seen: _Seen) -> None:
    """`cli.add_command(fit, "name")` and `app.add_typer(other, name="x")`."""
    if called(call) not in {"add_command", "add_typer"} or not call.args:
        return
    owner = getattr(getattr(call.func, "value", None), "id", "")
    below = getattr(call.args[0], "id", "")
    words = {word.arg: word.value for word in call.keywords}
    stated = next(iter(texts_of((*call.args[1:2], words.get("name")))), "")
    if below in seen.apps:
        app = seen.apps[below]
        seen.apps[below] = replace(
            app, above=owner, name=stated or app.name or _click_name(below) * (not app.typer)
        )
    for command in seen.commands:
        if command.function == below:
            seen.apps.setdefault(owner, _App())
            command.owner, command.name = owner, stated or command.name


def _see_run(
    call: ast.Call,
    functions: Sequence[ast.FunctionDef],
    seen: _Seen,
    known: Mapping[str, object],
) -> None:
    """`typer.run(main)`."""
    run = [one for one in functions if one.name == getattr(call.args[0], "id", "")]
    if run and getattr(getattr(call.func, "value", None), "id", "") == "typer":
        seen.commands.append(_Command("", "", typed_options(run[0], known), run[0].name))


def _imports(tree: ast.Module) -> set[str]:
    names = [one.name for node in nodes(tree) if isinstance(node, ast.Import) for one in node.names]
    names += [node.module or "" for node in nodes(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


def _kind(decorator: ast.expr) -> str:
    if isinstance(decorator, ast.Call):
        return called(decorator)
    return getattr(decorator, "attr", getattr(decorator, "id", ""))


def _owner(decorator: ast.expr) -> str:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(getattr(function, "value", None), "id", "")


def _stated(decorator: ast.expr) -> str:
    if not isinstance(decorator, ast.Call):
        return ""
    named = [word.value for word in decorator.keywords if word.arg == "name"]
    return next(
        (str(text) for one in (*decorator.args[:1], *named) if (text := constant(one, {}))), ""
    )


def _command_name(decorator: ast.expr, function: str) -> str:
    return _stated(decorator) or _click_name(function)


def _click_name(function: str) -> str:
    ending = next((one for one in _ENDINGS if function.endswith(one)), "")
    return function.removesuffix(ending).replace("_", "-").lower()
