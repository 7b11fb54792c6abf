"""An address on this machine that adds an endpoint's key, so that it stays in this process.

The project's integration tests and the load generator know nothing of Azure's keys: they speak
to `http://127.0.0.1:…/invocations`, and what they send goes on to the scoring URI.
"""

import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ml_pipeline.adapters.azureml.endpoint import deployment_of
from ml_pipeline.domain.errors import PlatformUnavailableError
from ml_pipeline.ports.serving import Target

if TYPE_CHECKING:
    from ml_pipeline.adapters.azureml.endpoint import Endpoint

_LIMIT_S = 60.0
#: Between two looks of a server whether it should end, in seconds.
_LOOK_S = 0.1
_SHOWN = ("x-model-slot", "x-model-version", "azureml-model-deployment", "content-type")
_BODY_BYTES = 16 * 1024 * 1024


class KeyProxy:
    """One loopback server a slot, started when first asked for."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, str | None], Target] = {}
        self._servers: list[_Server] = []

    def close(self) -> None:
        """Take the addresses away."""
        self._targets.clear()
        while self._servers:
            server = self._servers.pop()
            server.shutdown()
            server.server_close()

    def target(self, endpoint: "Endpoint", slot: str | None) -> Target:
        """Where requests go to one slot, or to whichever the endpoint's traffic chooses."""
        where = (endpoint.name, slot)
        uri = str(endpoint.get().scoring_uri)
        if where not in self._targets:
            headers = {"Authorization": f"Bearer {endpoint.key()}"}
            if slot is not None:
                headers["azureml-model-deployment"] = deployment_of(slot)
            server = _started(uri, headers)
            self._servers.append(server)
            url = f"http://127.0.0.1:{server.server_port}/invocations"
            self._targets[where] = Target(url=url)
        return self._targets[where]


def _started(uri: str, headers: dict[str, str]) -> "_Server":
    parts = urlsplit(uri)
    if parts.hostname is None:
        raise PlatformUnavailableError(
            f"the endpoint has no address yet: {uri!r}", remedy="Wait until it is ready."
        )
    route = _Route(
        host=str(parts.hostname),
        port=parts.port,
        path=parts.path or "/",
        headers=headers,
        context=ssl.create_default_context(),
    )
    server = _Server(("127.0.0.1", 0), type("_Bound", (_Handler,), {"route": route}))
    threading.Thread(
        target=server.serve_forever, args=(_LOOK_S,), daemon=True, name="azureml-proxy"
    ).start()
    return server


@dataclass(frozen=True, kw_only=True)
class _Route:
    """Where requests go on to, and what is added to them."""

    host: str
    port: int | None
    path: str
    headers: Mapping[str, str] = field(repr=False)
    context: ssl.SSLContext

    def connect(self) -> http.client.HTTPSConnection:
        """A connection, opened with its first request."""
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=_LIMIT_S, context=self.context
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    """Takes `/ping` itself and hands `/invocations` on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    route: _Route

    def setup(self) -> None:
        super().setup()
        self._link = self.route.connect()

    def finish(self) -> None:
        self._link.close()
        super().finish()

    def do_GET(self) -> None:
        known = self.path in {"/ping", "/health"}
        self._answer(200 if known else 404, {"Content-Type": "application/json"}, b"{}")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/invocations" or size > _BODY_BYTES:
            self.close_connection = True
            self._answer(404 if size <= _BODY_BYTES else 413, {}, b"{}")
            return
        given = {
            name: self.headers[name]
            for name in ("Content-Type", "Accept", "X-Request-Id")
            if self.headers[name] is not None
        }
        self._answer(*self._forwarded(self.rfile.read(size), given))

    def _forwarded(self, body: bytes, given: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        try:
            self._link.request("POST", self.route.path, body, {**given, **self.route.headers})
            answer = self._link.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._link.close()  # the next request opens it anew
            return 502, {}, f'{{"message": "{type(error).__name__} on the way"}}'.encode()
        shown = {key: value for key, value in answer.getheaders() if key.lower() in _SHOWN}
        return answer.status, shown, content

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: requests are counted where they are answered."""
