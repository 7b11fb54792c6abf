"""Command lines built by `argparse`, with their subcommands."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ml_pipeline.settings.survey.constants import called, nodes, texts_of
from ml_pipeline.settings.survey.options import CommandLine, Option, declared

_GROUPS = frozenset({"add_argument_group", "add_mutually_exclusive_group", "add_subparsers"})
_ADDERS = frozenset({"add_argument", "addoption"})


@dataclass(slots=True)
class _Parser:
    """One `ArgumentParser`; `above` is the one whose subcommand it is."""

    words: tuple[str, ...] = ()
    options: list[Option] = field(default_factory=list)
    above: "_Parser | None" = None
    whole: bool = True
    lent: bool = False


def command_lines(tree: ast.AST, known: Mapping[str, object]) -> Sequence[CommandLine]:
    """Every subcommand, or the one command line there is; none without options."""
    seen = _Parsers(tree, known)
    seen.visit(tree)
    below = [parser for parser in seen.parsers if parser.words]
    roots = [parser for parser in seen.parsers if not parser.words and not parser.lent]
    top = _Parser(
        options=[option for parser in roots for option in parser.options],
        whole=seen.whole and all(parser.whole for parser in roots),
    )
    leaves = [one for one in below if one not in [other.above for other in below]]
    if leaves:
        return [_line(parser, top) for parser in leaves]
    return [_line(top, _Parser())] if top.options else []


def _line(parser: _Parser, top: _Parser) -> CommandLine:
    above: list[Option] = [*top.options]
    higher = parser.above
    while higher is not None and higher.words:
        above += higher.options
        higher = higher.above
    return CommandLine(
        words=parser.words,
        options=tuple(parser.options),
        above=tuple(above),
        whole=parser.whole and top.whole,
    )


class _Parsers(ast.NodeVisitor):
    """Follows parsers by the names they are given, statement by statement."""

    def __init__(self, tree: ast.AST, known: Mapping[str, object]) -> None:
        self.root = _Parser()
        self.parsers = [self.root]
        self.whole = True
        self._known = known
        self._names: dict[str, _Parser] = {}
        functions = (node for node in nodes(tree) if isinstance(node, ast.FunctionDef))
        self._own = {function.name for function in functions}

    def visit_Assign(self, node: ast.Assign) -> None:
        """A name for a parser."""
        made = self._made(node.value) if isinstance(node.value, ast.Call) else None
        for target in node.targets if made else ():
            self._names[_name(target)] = made or self.root
        if made is None:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """An option, a subcommand, or a parser that is handed to code that is not seen."""
        if self._made(node) is None:
            handed = [self._names[_name(one)] for one in node.args if _name(one) in self._names]
            if handed and called(node) not in self._own:
                self.whole = False
        for inner in (*node.args, *(word.value for word in node.keywords)):
            self.visit(inner)

    def _made(self, node: ast.Call) -> _Parser | None:
        """The parser a call makes or hands on; None when it is about no parser."""
        method = called(node)
        if method == "ArgumentParser":
            return self._begun(node)
        if not isinstance(node.func, ast.Attribute):
            return None
        if method == "parse_known_args":
            self.whole = False
        if method == "add_parser":
            return self._subcommand(node, self._of(node.func.value))
        if method in _GROUPS:
            return self._of(node.func.value)
        if method in _ADDERS:
            self._add(node, self._of(node.func.value))
        return None

    def _begun(self, node: ast.Call) -> _Parser:
        parser = _Parser(options=self._lent(node))
        parser.lent = any(
            word.arg == "add_help" and getattr(word.value, "value", None) is False
            for word in node.keywords
        )
        self.parsers.append(parser)
        return parser

    def _subcommand(self, node: ast.Call, above: _Parser) -> _Parser | None:
        names = list(texts_of(node.args[:1]))
        if not names:
            self.whole = False
            return None
        parser = _Parser(
            words=(*above.words, names[0]), options=self._lent(node), above=above, whole=True
        )
        self.parsers.append(parser)
        return parser

    def _lent(self, node: ast.Call) -> list[Option]:
        """Options of the parsers in `parents=[...]`."""
        lists = [word.value for word in node.keywords if word.arg == "parents"]
        names = [_name(one) for each in lists for one in getattr(each, "elts", ())]
        parents = [self._names[name] for name in names if name in self._names]
        return [option for parent in parents for option in parent.options]

    def _add(self, node: ast.Call, parser: _Parser) -> None:
        option = declared(node, self._known)
        if option is None:
            parser.whole = False
        else:
            parser.options.append(option)

    def _of(self, node: ast.expr) -> _Parser:
        """The parser a name or a chained call stands for; else the only one there may be."""
        if isinstance(node, ast.Call):
            return self._made(node) or self.root
        return self._names.get(_name(node), self.root)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))
