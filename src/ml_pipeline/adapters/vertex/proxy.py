"""A door on this machine to Vertex AI's predictions, for whoever knows no Google token.

Load generator and a project's integration tests speak `POST /invocations`. Vertex AI's
`:rawPredict` hands a body on to the model server as it is, but wants a bearer token that lasts an
hour, and says which deployment answered by its number: the door puts the one on requests and turns
the other into the slot's name. It listens on loopback, behind a word that only this process knows.
"""

import json
import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3

from ml_pipeline.adapters.vertex.client import Clients
from ml_pipeline.domain.errors import PipelineError, PlatformUnavailableError
from ml_pipeline.ports.serving import Target

#: The longest an answer may take; whoever asks has a shorter limit of their own.
_ANSWER_S = 60.0
_CONNECTIONS = 64
#: Between two looks of the door whether it should close, in seconds.
_LOOK_S = 0.1
_SIGNED_OUT = 401
#: Said by `:rawPredict`.
_DEPLOYED = "X-Vertex-AI-Deployed-Model-Id"


class PredictProxy:
    """The door, opened when it is first needed.

    Args:
        clients: whose token.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._word = secrets.token_urlsafe(16)
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False, timeout=_ANSWER_S)
        self._names: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def close(self) -> None:
        """Take the door away."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self._pool.clear()

    def target(self, endpoint: str) -> Target:
        """Where requests for an endpoint, by its id, are taken."""
        with self._lock:
            if self._server is None:
                self._server = _Server(("127.0.0.1", 0), _Handler)
                self._server.door = self
                threading.Thread(
                    target=self._server.serve_forever,
                    args=(_LOOK_S,),
                    daemon=True,
                    name="vertex-predict",
                ).start()
            port = self._server.server_address[1]
        return Target(url=f"http://127.0.0.1:{port}/{self._word}/{endpoint}/invocations")

    def ask(self, endpoint: str, body: Mapping[str, object]) -> urllib3.BaseHTTPResponse:
        """The answer to one request, from here.

        Raises:
            PlatformUnavailableError: there was no answer.
        """
        try:
            return self.forward(endpoint, json.dumps(body).encode(), "application/json")
        except urllib3.exceptions.HTTPError as error:
            raise PlatformUnavailableError(
                f"{endpoint} gave no predictions: {error!r}", remedy="Try again."
            ) from error

    def forward(self, endpoint: str, body: bytes, kind: str) -> urllib3.BaseHTTPResponse:
        """The answer of `:rawPredict`; once more with a fresh token when the first was refused."""
        for last in (False, True):
            with self._lock:
                token = self._clients.token()
            answer = self._pool.request(
                "POST",
                f"{self._clients.web}/v1/{self._clients.parent}/endpoints/{endpoint}:rawPredict",
                body=body,
                headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
            )
            if answer.status != _SIGNED_OUT or last:
                break
            with self._lock:
                self._clients.credentials.expiry = self._clients.clock.now().replace(tzinfo=None)
        return answer

    def named(self, endpoint: str, deployed: str) -> tuple[str, str]:
        """Slot and version of a deployment; looked up once."""
        with self._lock:
            if deployed not in self._names:
                name = f"{self._clients.parent}/endpoints/{endpoint}"
                found = self._clients.asked(
                    f"for {name}", self._clients.endpoints.get_endpoint, name=name
                )
                for one in found.deployed_models:
                    self._names[one.id] = (one.display_name, one.model_version_id)
            return self._names.get(deployed, ("unknown", "unknown"))

    def knows(self, path: str) -> tuple[str, str] | None:
        """Endpoint and route of a path; None for who does not know the word."""
        parts = path.strip("/").split("/")
        if len(parts) != 3 or not secrets.compare_digest(parts[0], self._word):
            return None
        return parts[1], parts[2]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    door: PredictProxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Answer `/ping`: Vertex AI asks the model server itself and has no route for others."""
        place = self.server.door.knows(self.path)
        if place is None or place[1] != "ping":
            self._answer(404, b'{"message": "there is nothing here"}')
        else:
            self._answer(200, b'{"status": "ok"}')

    def do_POST(self) -> None:
        """Hand `/invocations` on."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        door = self.server.door
        place = door.knows(self.path)
        if place is None or place[1] != "invocations":
            self._answer(404, b'{"message": "there is nothing here"}')
            return
        kind = self.headers.get("Content-Type") or "application/json"
        try:
            answer = door.forward(place[0], body, kind)
            deployed = answer.headers.get(_DEPLOYED, "")
            slot, version = door.named(place[0], deployed) if deployed else ("", "")
        except (PipelineError, urllib3.exceptions.HTTPError) as error:
            self._answer(502, json.dumps({"message": str(error)}).encode())
            return
        told = {"X-Model-Slot": slot, "X-Model-Version": version} if slot else {}
        self._answer(answer.status, answer.data, told)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
