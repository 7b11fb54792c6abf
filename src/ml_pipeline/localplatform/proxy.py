"""The public side: split requests over slots, forward them, count what became of them."""

import asyncio
import random
import time
from dataclasses import dataclass

import orjson
from aiohttp import web

from ml_pipeline.localplatform.meters import Meters, SlotMeters
from ml_pipeline.localplatform.records import DeploymentRecord, Endpoint, Snapshot
from ml_pipeline.localplatform.split import Split
from ml_pipeline.localplatform.traffic import Kind, Recorder
from ml_pipeline.localplatform.upstream import Headers, Upstream, UpstreamError

SLOT_HEADER, VERSION_HEADER = "X-Model-Slot", "X-Model-Version"
#: Belong to one connection, or are written anew (RFC 9110, section 7.6.1).
_NOT_FORWARDED = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade", "expect", "host", "content-length",
    "content-encoding", "x-model-slot", "x-model-version",
})  # fmt: skip
_NOT_RETURNED = _NOT_FORWARDED - {"content-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterOptions:
    """Limits of the public side.

    `sticky_header`: requests with the same value of it meet the same slot; empty for none.
    """

    sticky_header: str = ""
    time_out_s: float = 30.0
    max_body_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Backend:
    slot: str
    version: str
    upstream: Upstream | None
    meters: SlotMeters


class Proxy:
    """Answers `POST /invocations`, `GET /ping` and `GET /metrics`."""

    def __init__(self, options: RouterOptions, recorder: Recorder) -> None:
        self._options = options
        self._recorder = recorder
        self._meters = Meters()
        self._split = Split({})
        self._backends: dict[str, _Backend] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Route by this state from the next request on; requests under way stay where they are."""
        old = self._backends
        wanted = [one for one in snapshot.deployments if one.endpoint is Endpoint.PRODUCTION]
        self._backends = {one.slot: self._backend(one, old.get(one.slot)) for one in wanted}
        self._split = Split(snapshot.weights)
        kept = {id(one.upstream) for one in self._backends.values()}
        for gone in old.values():
            if gone.upstream is not None and id(gone.upstream) not in kept:
                gone.upstream.close()
        shares = {(s, b.version): snapshot.weights.get(s, 0) for s, b in self._backends.items()}
        self._meters.shares(shares)

    def _backend(self, record: DeploymentRecord, old: _Backend | None) -> _Backend:
        upstream = old.upstream if old is not None else None
        if record.port is None:
            upstream = None
        elif upstream is None or upstream.port != record.port:
            upstream = Upstream(record.port)
        meters = self._meters.of(record.slot, record.version)
        return _Backend(record.slot, record.version, upstream, meters)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=self._options.max_body_bytes)
        app.router.add_post("/invocations", self.invocations)
        app.router.add_get("/ping", self.ping)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_route("*", "/{path:.*}", self.elsewhere)
        return app

    async def invocations(self, request: web.Request) -> web.Response:
        """Forward one request to one slot, once."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        backend = self._choose(request)
        if backend is None:
            return self._refuse(503, "no model is deployed here")
        started_s = time.perf_counter()
        status, headers, answer = await self._forward(backend, request, body)
        self._count(backend, status, time.perf_counter() - started_s)
        kept = [(n, v) for n, v in _text(headers) if n.lower() not in _NOT_RETURNED]
        kept += [(SLOT_HEADER, backend.slot), (VERSION_HEADER, backend.version)]
        return web.Response(status=status, headers=kept, body=answer)

    async def _body(self, request: web.Request) -> bytes | web.Response:
        try:
            async with asyncio.timeout(self._options.time_out_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = self._options.max_body_bytes
            return self._refuse(413, f"the body is longer than {limit} bytes")
        except TimeoutError:
            return self._refuse(408, f"the body was not here in {self._options.time_out_s:g} s")
        except (web.RequestPayloadError, ConnectionError) as exc:
            return self._refuse(400, f"the body cannot be read: {exc}")

    def _choose(self, request: web.Request) -> _Backend | None:
        key = (
            request.headers.get(self._options.sticky_header)
            if self._options.sticky_header
            else None
        )
        slot = self._split.at(random.random()) if key is None else self._split.of(key)  # noqa: S311
        return None if slot is None else self._backends.get(slot)

    async def _forward(
        self, backend: _Backend, request: web.Request, body: bytes
    ) -> tuple[int, Headers, bytes]:
        if backend.upstream is None:
            return _failure(502, f"slot {backend.slot} is down")
        query = request.rel_url.raw_query_string
        path = f"/invocations?{query}" if query else "/invocations"
        headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _NOT_FORWARDED]
        try:
            async with asyncio.timeout(self._options.time_out_s):
                return await backend.upstream.post(path, headers, body)
        except TimeoutError:
            limit = self._options.time_out_s
            return _failure(504, f"slot {backend.slot} did not answer in {limit:g} s")
        except UpstreamError as exc:
            return _failure(502, f"slot {backend.slot} failed: {exc}")

    def _count(self, backend: _Backend, status: int, took_s: float) -> None:
        if status >= 500:
            kind, meter = Kind.ERROR, backend.meters.error
        elif status >= 400:
            kind, meter = Kind.CLIENT_ERROR, backend.meters.client_error
        else:
            kind, meter = Kind.OK, backend.meters.ok
        self._recorder.add(backend.slot, took_s, kind)
        meter.inc()
        backend.meters.latency.observe(took_s)

    async def ping(self, _request: web.Request) -> web.Response:
        """200 when every slot that gets traffic is up."""
        down = [slot for slot in self._split.slots if not self._up(slot)]
        if self._split.slots and not down:
            return _json(200, {"status": "ok"})
        what = f"down: {', '.join(down)}" if down else "no model is deployed here"
        return _json(503, {"error": what})

    def _up(self, slot: str) -> bool:
        backend = self._backends.get(slot)
        return backend is not None and backend.upstream is not None

    async def metrics(self, _request: web.Request) -> web.Response:
        """Prometheus' text format."""
        return web.Response(
            body=self._meters.text(), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    async def elsewhere(self, request: web.Request) -> web.Response:
        """Say what there is."""
        known = {"/invocations": "POST", "/ping": "GET", "/metrics": "GET"}.get(request.path)
        if known is None:
            return self._refuse(404, "there is POST /invocations, GET /ping and GET /metrics")
        response = self._refuse(405, f"{request.path} takes {known}")
        response.headers["Allow"] = known
        return response

    def _refuse(self, status: int, why: str) -> web.Response:
        self._meters.refused.labels(str(status)).inc()
        return _json(status, {"error": why})


def _json(status: int, value: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _failure(status: int, why: str) -> tuple[int, Headers, bytes]:
    return status, [(b"Content-Type", b"application/json")], orjson.dumps({"error": why})


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in headers
    ]
