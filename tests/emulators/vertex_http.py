"""Over HTTP: Cloud Storage's JSON API, tokens, `:rawPredict`, and the emulator's own faults."""

import base64
import hashlib
import json
import re
import secrets
import threading
from datetime import UTC, datetime
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import urllib3

from tests.emulators.vertex_rules import RefusedError

#: HTTP status by gRPC status. Source: google/rpc/code.proto.
HTTP = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNAVAILABLE": 503,
}  # fmt: skip
_OBJECT = re.compile(r"^(/download)?/storage/v1/b/([^/]+)/o/(.+)$")
_LIST = re.compile(r"^/storage/v1/b/([^/]+)/o$")
_UPLOAD = re.compile(r"^/upload/storage/v1/b/([^/]+)/o$")
_PREDICT = re.compile(r"^/v1/(projects/[^:]+/endpoints/[^:/]+):rawPredict$")


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    world: Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: WebServer
    pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=60)
    sessions: ClassVar[dict[str, dict[str, Any]]] = {}

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def handle_one(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.route(path, query, body)
        except RefusedError as error:
            headers = {}
            if error.retry_after_s is not None:
                headers["Retry-After"] = str(int(error.retry_after_s))
            told = {"error": {"code": HTTP[error.code], "message": error.message}}
            self.answer(HTTP[error.code], json.dumps(told).encode(), headers)
        except ConnectionResetError:
            self.close_connection = True
            self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815

    def route(self, path: str, query: dict[str, str], body: bytes) -> None:
        if path == "/token":
            self.meet("token")
            token = self.server.world.tokens.issue()
            answer = {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}
            self.answer(200, json.dumps(answer).encode())
        elif path == "/emulator/faults":
            world = self.server.world
            told = json.loads(body)
            for name in ("jobs", "chaos"):
                getattr(world.faults, name).update(told.pop(name, {}))
            if told:
                world.faults.add(**told)
            self.answer(200, b"{}")
        else:
            self.server.world.tokens.check(self.headers.get("Authorization", ""))
            self.signed_in(path, query, body)

    def signed_in(self, path: str, query: dict[str, str], body: bytes) -> None:
        if found := _PREDICT.match(path):
            self.predict(found[1], body)
        elif found := _UPLOAD.match(path):
            self.meet("storage.put")
            self.upload(found[1], query, body)
        elif found := _OBJECT.match(path):
            self.meet("storage.get")
            self.download(found[2], found[3])
        elif found := _LIST.match(path):
            self.meet("storage.list")
            self.listing(found[1], query.get("prefix", ""))
        else:
            raise RefusedError("NOT_FOUND", f"nothing at {path}")

    def meet(self, method: str) -> None:
        fault = self.server.world.faults.meet(method)
        if fault is not None and fault.reset:
            raise ConnectionResetError

    def predict(self, endpoint: str, body: bytes) -> None:
        world = self.server.world
        self.meet("rawPredict")
        deployed, server = world.endpoints.chosen(endpoint)
        begun = world.monotonic()
        url = f"http://127.0.0.1:{server.port}{server.predict_route}"
        kind = self.headers.get("Content-Type") or "application/json"
        try:
            found = self.pool.request("POST", url, body=body, headers={"Content-Type": kind})
            status, content = found.status, found.data
        except urllib3.exceptions.HTTPError:
            status, content = 503, b'{"error": {"message": "the model server is gone"}}'
        number = endpoint.rpartition("/")[2]
        world.metrics.note(number, deployed.id, status, world.monotonic() - begun)
        headers = {
            "X-Vertex-AI-Endpoint-Id": number,
            "X-Vertex-AI-Deployed-Model-Id": deployed.id,
        }
        self.answer(status, content, headers)

    def file(self, bucket: str, name: str) -> Path:
        folder = (self.server.world.store / bucket).resolve()
        path = (folder / name).resolve()
        if not folder.is_dir() or not path.is_relative_to(folder):
            raise RefusedError("NOT_FOUND", f"no bucket {bucket}, or no name {name}")
        return path

    def upload(self, bucket: str, query: dict[str, str], body: bytes) -> None:
        kind = query.get("uploadType")
        if kind == "multipart":
            header = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            meta, content = BytesParser().parsebytes(header + body).get_payload()
            told = json.loads(meta.get_payload())
            self.store(bucket, told, content.get_payload(decode=True))
        elif kind == "resumable" and "upload_id" not in query:
            word = secrets.token_hex(8)
            self.sessions[word] = json.loads(body)
            where = f"http://{self.headers['Host']}{self.path}&upload_id={word}"
            self.answer(200, b"{}", {"Location": where})
        elif kind == "resumable":
            self.store(bucket, self.sessions[query["upload_id"]], body)
        else:
            raise RefusedError("INVALID_ARGUMENT", f"uploadType {kind!r}")

    def store(self, bucket: str, told: dict[str, Any], content: bytes) -> None:
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        if told.get("md5Hash", digest) != digest:
            raise RefusedError("INVALID_ARGUMENT", "md5Hash does not fit the content")
        path = self.file(bucket, told["name"])
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        part.write_bytes(content)
        part.replace(path)
        self.answer(200, json.dumps(self.described(bucket, path)).encode())

    def download(self, bucket: str, name: str) -> None:
        path = self.file(bucket, name)
        if not path.is_file():
            raise RefusedError("NOT_FOUND", f"No such object: {bucket}/{name}")
        content = path.read_bytes()
        digest = base64.b64encode(hashlib.md5(content).digest()).decode()
        self.answer(200, content, {"X-Goog-Hash": f"md5={digest}"})

    def listing(self, bucket: str, prefix: str) -> None:
        folder = self.file(bucket, "")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        found = [self.described(bucket, path) for path in files]
        items = [one for one in found if one["name"].startswith(prefix)]
        self.answer(200, json.dumps({"kind": "storage#objects", "items": items}).encode())

    def described(self, bucket: str, path: Path) -> dict[str, Any]:
        name = path.relative_to((self.server.world.store / bucket).resolve()).as_posix()
        return {
            "kind": "storage#object", "bucket": bucket, "name": name, "generation": "1",
            "size": str(path.stat().st_size),
            "md5Hash": base64.b64encode(hashlib.md5(path.read_bytes()).digest()).decode(),
        }  # fmt: skip

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Tokens:
    """Bearer tokens that can be made to expire all at once."""

    def __init__(self) -> None:
        self._good: set[str] = set()
        self._lock = threading.Lock()

    def issue(self) -> str:
        with self._lock:
            token = secrets.token_hex(16)
            self._good.add(token)
            return token

    def expire(self) -> None:
        with self._lock:
            self._good.clear()

    def check(self, header: str) -> None:
        with self._lock:
            if header.removeprefix("Bearer ") not in self._good:
                raise RefusedError("UNAUTHENTICATED", "the token is not valid (any more)")


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
