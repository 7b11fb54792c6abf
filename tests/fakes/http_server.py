"""A real HTTP server on loopback whose answers a test decides."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says. `raw` replaces all of it; the connection is closed after `raw`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"predictions": [1.0]}'
    raw: bytes | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        said = self.server.hear(Asked(self.path, headers, body))
        if said is None or said.raw is not None:
            self.wfile.write(said.raw if said else b"")
            self.close_connection = True
            return
        self.send_response_only(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, hear: Callable[[Asked], Answer | None]) -> None:
        self.hear = hear
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class ScriptedServer:
    """Keeps what it was asked; `answer` decides, in a thread of the request's connection.

    With `answer` returning None the connection is closed without a word.
    """

    def __init__(self, answer: Callable[[Asked], Answer | None]) -> None:
        self.asked: list[Asked] = []
        self._answer = answer
        self._changed = threading.Condition()
        self._server = _Server(self._hear)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/invocations"

    def wait_for(self, requests: int, seconds: float = 60) -> None:
        """Until that many have arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= requests, seconds)

    def close(self) -> None:
        """Listen no more and drop every connection."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for one in list(self._server.connections):
            one.close()

    def _hear(self, asked: Asked) -> Answer | None:
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
        return self._answer(asked)


@contextmanager
def serving(answer: Callable[[Asked], Answer | None] | None = None) -> Iterator[ScriptedServer]:
    """A server that answers 200 unless told otherwise."""
    server = ScriptedServer(answer or (lambda _: Answer()))
    try:
        yield server
    finally:
        server.close()


def unused_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
