"""A Dagger engine that runs nothing and writes down what a module asks for.

The SDK speaks GraphQL over HTTP to 127.0.0.1:$DAGGER_SESSION_PORT. Every id handed out holds the
chain of calls that led to it, so a container can be read back as its whole recipe.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import anyio
from graphql import parse
from graphql.language import ast

from tests.fakes.recording_schema import introspection

ROOT = Path(__file__).parents[2]
Step = tuple[str, dict[str, Any]]
#: Says how a command ends: exit code and what it prints on stderr.
Ends = Callable[[list[str]], tuple[int, str]]


@dataclass(frozen=True)
class Recipe:
    """The calls behind an object, oldest first; arguments that are objects are recipes too."""

    steps: tuple[Step, ...]

    def all(self, name: str) -> list[dict[str, Any]]:
        """The arguments of every call of that name, also of those another one is made from."""
        return [args for called, args in self.steps if called == name]

    def execs(self) -> list[list[str]]:
        return [args["args"] for args in self.all("withExec")]

    def commands(self) -> list[list[str]]:
        """What is run of the pipeline itself, without installations."""
        return [argv[1:] for argv in self.execs() if argv[0].endswith("/ml-pipeline")]

    def environment(self) -> dict[str, str]:
        return {one["name"]: one["value"] for one in self.all("withEnvVariable")}

    def secrets(self) -> dict[str, "Recipe"]:
        variables = {one["name"]: one["secret"] for one in self.all("withSecretVariable")}
        files = {one["path"]: one["source"] for one in self.all("withMountedSecret")}
        return {**variables, **files}

    def volumes(self) -> dict[str, str]:
        """Name of the cache volume by path, in the order they are mounted."""
        mounts = self.all("withMountedCache")
        return {one["path"]: one["cache"].all("cacheVolume")[0]["key"] for one in mounts}

    def base(self) -> str:
        return str(self.all("from")[0]["address"])


def encode(steps: list[Step]) -> str:
    plain = [[name, {key: _plain(value) for key, value in args.items()}] for name, args in steps]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Recipe):
        return encode(list(value.steps))
    return [_plain(one) for one in value] if isinstance(value, list) else value


def decode(value: Any) -> Any:
    """The recipe an id holds; anything else as it is."""
    if isinstance(value, list):
        return [decode(one) for one in value]
    return _decoded(value) if isinstance(value, str) else value


@cache  # an id holds those of everything it is made from, and comes back with every call
def _decoded(value: str) -> Any:
    try:
        steps = json.loads(base64.b64decode(value.encode(), altchars=b"-_", validate=True))
    except ValueError:
        return value
    if not isinstance(steps, list) or not all(isinstance(one, list) for one in steps):
        return value
    return Recipe(
        tuple((name, {key: decode(one) for key, one in args.items()}) for name, args in steps)
    )


def given(name: str, kind: str = "directory") -> str:
    """The id the engine would hand a function for a directory or secret of its caller."""
    return encode([("given", {"name": name, "kind": kind})])


#: What `prepare` leaves in a container: an environment by its key, and its lock.
MADE = {
    "/opt/project-state/envs/0a1b2c/venv/pyvenv.cfg": "",
    "/opt/project-state/envs/0a1b2c.lock": "",
}


class RefusedError(Exception):
    pass


class EndedBadlyError(Exception):
    def __init__(self, argv: list[str], code: int, stderr: str) -> None:
        super().__init__(f"exit code: {code}")
        self.extensions = {
            "_type": "EXEC_ERROR", "cmd": argv, "exitCode": code, "stdout": "", "stderr": stderr,
        }  # fmt: skip


def ending_well(_argv: list[str]) -> tuple[int, str]:
    return 0, ""


@dataclass
class Session:
    """One function call as the engine makes it, and everything it asked for.

    Without a function it is the constructor's if `constructs`, else the module is registered.

    `files` are those of the directory given as source. `refusal` is said instead of running any
    command, `push_refusal` instead of pushing. `asked` are the leaves that were evaluated, also
    those that failed: the recipe and the field.
    """

    function: str = ""
    parent_name: str = "MlPipeline"
    parent: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    ends: Ends = ending_well
    refusal: str = ""
    push_refusal: str = ""
    constructs: bool = False
    asked: list[tuple[Recipe, str]] = field(default_factory=list)
    returned: Any = None
    error: Recipe | None = None

    def containers(self) -> list[Recipe]:
        """What was evaluated and runs commands, each as far as it got."""
        return [recipe for recipe, _ in self.asked if recipe.execs()]

    def answer(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        if "__schema" in query:
            return {"data": introspection()}
        operation = parse(query).definitions[0]
        assert isinstance(operation, ast.OperationDefinitionNode)
        try:
            return {"data": self._select([], operation.selection_set, variables)}
        except EndedBadlyError as error:
            told = {"message": str(error), "extensions": error.extensions, "path": ["container"]}
            return {"data": None, "errors": [told]}
        except RefusedError as error:
            return {"data": None, "errors": [{"message": str(error), "path": ["container"]}]}
        except Exception as error:  # noqa: BLE001 - a fault of this session is told, not retried
            return {"data": None, "errors": [{"message": f"recording session: {error!r}"}]}

    def _select(
        self, steps: list[Step], selected: ast.SelectionSetNode, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for node in selected.selections:
            if isinstance(node, ast.InlineFragmentNode):
                out.update(self._select(steps, node.selection_set, variables))
                continue
            assert isinstance(node, ast.FieldNode)
            given = {one.name.value: _literal(one.value, variables) for one in node.arguments or ()}
            name = node.name.value
            key = node.alias.value if node.alias else name
            if node.selection_set is None:
                out[key] = self._leaf(steps, name, given)
            elif name == "inputArgs":
                out[key] = [{"id": encode([("argument", one)])} for one in self._inputs()]
            elif name == "node":
                out[key] = self._select(
                    list(decode(given["id"]).steps), node.selection_set, variables
                )
            else:
                given = {one: decode(value) for one, value in given.items()}
                out[key] = self._select([*steps, (name, given)], node.selection_set, variables)
        return out

    def _inputs(self) -> Iterator[dict[str, str]]:
        for name, value in self.arguments.items():
            yield {"name": name, "value": json.dumps(value)}

    def _leaf(self, steps: list[Step], name: str, given: dict[str, Any]) -> Any:
        first = steps[0] if steps else ("", {})
        if first[0] == "argument":
            return first[1][name]
        if first[0] == "currentFunctionCall":
            return self._of_the_call(name, given)
        recipe = Recipe(tuple(steps))
        if name not in {"id", "sync"} or recipe.execs():
            self.asked.append((recipe, name))
        self._run(steps)
        return encode(steps) if name in {"id", "sync"} else self._value(steps, name)

    def _value(self, steps: list[Step], name: str) -> Any:
        """What the engine would say of an object itself."""
        below = self._below(steps)
        if name == "publish" and self.push_refusal:
            raise RefusedError(self.push_refusal)
        if name == "entries":
            return sorted(
                {one + slash for one, slash, _ in (path.partition("/") for path in below)}
            )
        if name == "exitCode":
            return self.ends(Recipe(tuple(steps)).execs()[-1])[0]
        plain = {
            "glob": _with_folders(below),
            "contents": below.get("", "text"),
            "publish": "registry/image@sha256:0",
        }
        return plain.get(name, "printed")

    def _of_the_call(self, name: str, given: dict[str, Any]) -> Any:
        if name == "returnValue":
            self.returned = json.loads(given["value"])
        if name == "returnError":
            self.error = decode(given["error"])
        told = {"name": self.function, "parent": json.dumps(self.parent)}
        called = self.function or self.constructs
        return {**told, "parentName": self.parent_name if called else ""}.get(name)

    def _below(self, steps: list[Step]) -> dict[str, str]:
        """Files by their path below what the steps lead to, "" for that itself."""
        path = PurePosixPath()
        for called, args in steps:
            path = path / args["path"] if called in {"directory", "file"} else path
        found = {PurePosixPath(name): text for name, text in {**MADE, **self.files}.items()}
        return {
            "" if name == path else str(name.relative_to(path)): text
            for name, text in found.items()
            if name.is_relative_to(path)
        }

    def _run(self, steps: list[Step]) -> None:
        for called, args in steps:
            if called == "withExec":
                if self.refusal:
                    raise RefusedError(self.refusal)
                code, stderr = self.ends(args["args"])
                if code and args.get("expect") != "ANY":
                    raise EndedBadlyError(args["args"], code, stderr)
            for value in args.values():
                if isinstance(value, Recipe):
                    self._run(list(value.steps))


def _with_folders(files: Mapping[str, str]) -> list[str]:
    """Files and folders, these with a slash at their end, as the engine tells them."""
    folders = {str(one) for name in files for one in PurePosixPath(name).parents} - {"."}
    return sorted([*files, *(f"{one}/" for one in folders)])


def _literal(node: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, ast.ListValueNode):
        return [_literal(one, variables) for one in node.values]
    if isinstance(node, ast.ObjectValueNode):
        return {one.name.value: _literal(one.value, variables) for one in node.fields}
    if isinstance(node, ast.NullValueNode):
        return None
    return int(node.value) if isinstance(node, ast.IntValueNode) else node.value


@contextmanager
def served(session: Session) -> Iterator[int]:
    """The session on a port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept: a function asks hundreds of times
        wbufsize = -1  # head and body in one packet
        disable_nagle_algorithm = True

        def log_message(self, *_words: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = session.answer(body["query"], body.get("variables") or {})
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


#: The least that a project's folder holds.
PROJECT = {"pyproject.toml": '[tool.ml-pipeline]\nmodel = "delivery"\n'}


def parent(**more: Any) -> dict[str, Any]:
    """The main object as its constructor leaves it."""
    usual = {"source": given("source"), "platform": "", "profile": "", "base_image": "python:slim"}
    return {**usual, **more}


def call(function: str, monkeypatch: Any, **more: Any) -> Session:
    """A function called as the engine does, in this process."""
    from dagger.client._session import SharedConnection
    from dagger.mod import cli, default_module

    import ml_pipeline.main  # noqa: F401 - registers its objects

    shared = SharedConnection()  # one a process, as a module's process serves one call
    shared._session = shared._params = None
    module = default_module()
    monkeypatch.setattr(module, "_main_name", "MlPipeline")
    monkeypatch.setattr(module, "_main", module.get_object("MlPipeline"))
    session = Session(function=function, **{"parent": parent(), "files": PROJECT, **more})
    with served(session) as port:
        monkeypatch.setenv("DAGGER_SESSION_PORT", str(port))
        monkeypatch.setenv("DAGGER_SESSION_TOKEN", "none")
        anyio.run(cli.main, module, False)
    return session


def call_alone(function: str, **more: Any) -> tuple[Session, "subprocess.CompletedProcess[str]"]:
    """A function called as the engine does, in a process of its own, by the entry point."""
    session = Session(function=function, **{"parent": parent(), "files": PROJECT, **more})
    code = "import sys; from dagger.mod.cli import app; sys.exit(app())"
    with served(session) as port:
        environ = {
            **os.environ,  # noqa: TID251 - the SDK's process inherits it
            "DAGGER_SESSION_PORT": str(port), "DAGGER_SESSION_TOKEN": "none",
            "DAGGER_MODULE": "ml-pipeline", "DAGGER_MAIN_OBJECT": "MlPipeline",
            "OTEL_SDK_DISABLED": "true",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    return session, done
