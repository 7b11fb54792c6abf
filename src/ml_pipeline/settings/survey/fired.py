"""Command lines that `fire.Fire(...)` makes of functions, classes and mappings."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ml_pipeline.settings.survey.constants import called, nodes, texts_of
from ml_pipeline.settings.survey.options import CommandLine
from ml_pipeline.settings.survey.signatures import named_options


def command_lines(tree: ast.Module) -> Sequence[CommandLine]:
    """Of a function its parameters, of more than one function a subcommand each."""
    calls = (node for node in nodes(tree) if isinstance(node, ast.Call))
    given = next((call for call in calls if called(call) == "Fire"), None)
    made = _made_of(given.args[0] if given.args else None, tree) if given else ()
    return [replace(line, either=True) for line in made]


def _made_of(what: ast.expr | None, tree: ast.Module) -> Iterator[CommandLine]:
    bodies = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    classes = {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    name = getattr(what, "id", "")
    if name in bodies:
        yield CommandLine(options=named_options(bodies[name]))
    elif name in classes:
        yield from _methods(classes[name])
    elif isinstance(what, ast.Dict):
        words = list(texts_of(what.keys))
        named = [getattr(value, "id", "") for value in what.values]
        for word, function in zip(words, named, strict=False):
            if function in bodies:
                yield CommandLine(words=(word,), options=named_options(bodies[function]))
    elif what is None:
        for one in bodies.values():
            yield CommandLine(words=(one.name,), options=named_options(one))


def _methods(found: ast.ClassDef) -> Iterator[CommandLine]:
    methods = [one for one in found.body if isinstance(one, ast.FunctionDef)]
    made = next((named_options(one) for one in methods if one.name == "__init__"), ())
    for one in methods:
        if not one.name.startswith("_"):
            yield CommandLine(words=(one.name,), options=(*named_options(one), *made))
