"""A door on this machine that signs requests for SageMaker.

SageMaker takes only requests signed with the caller's credentials, anew for every body. The load
generator and a project's own integration tests speak plain HTTP: they are given an address of
this door, which signs what comes and hands it on. It lies on loopback, behind a random path.
"""

import asyncio
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients
from ml_pipeline.domain.errors import PipelineError

if TYPE_CHECKING:
    from ml_pipeline.adapters.sagemaker.endpoint import Endpoint

_LARGEST_BYTES = 6 * 1024**2  # Source: InvokeEndpoint takes a body of at most 6 MB
_ANSWER_S = 60.0  # Source: and answers within 60 seconds
_MODEL_ERROR = 424  # Source: ModelError, InvokeEndpoint
_ALL = "-"
#: How long requests under way are waited for at the end, in seconds.
_LAST_ANSWERS_S = 1.0
#: Seconds the credentials are signed with before they are asked for again.
_FRESH_S = 60.0
_KEPT = ("content-type", "accept")
_VARIANT = "x-Amzn-Invoked-Production-Variant"
_TARGET = "X-Amzn-SageMaker-Target-Variant"


class SigningProxy:
    """The door; opened when its first address is asked for."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._token = secrets.token_urlsafe(18)
        self._lock = threading.Lock()
        self._endpoints: dict[str, Endpoint] = {}
        self._versions: dict[tuple[str, str], str] = {}
        self._port: int | None = None
        self._end: Callable[[], None] | None = None
        self._credentials: Any = None
        self._credentials_until = 0.0

    def url(self, endpoint: "Endpoint", slot: str | None) -> str:
        """The address that stands for an endpoint, or for one of its slots."""
        with self._lock:
            self._endpoints[endpoint.name] = endpoint
            if self._port is None:
                self._port = self._open()
        place = f"{self._token}/{endpoint.name}/{slot or _ALL}"
        return f"http://127.0.0.1:{self._port}/{place}/invocations"

    def forget(self, endpoint: str) -> None:
        """Ask anew which version is in a slot."""
        for key in [one for one in self._versions if one[0] == endpoint]:
            self._versions.pop(key, None)

    def close(self) -> None:
        """Take the addresses away."""
        with self._lock:
            end, self._end = self._end, None
            self._port = None
        if end is not None:
            end()

    def _open(self) -> int:
        opened: Future[int] = Future()
        thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(opened)), name="signing-proxy", daemon=True
        )
        thread.start()
        return opened.result()

    async def _serve(self, opened: "Future[int]") -> None:
        app = web.Application(client_max_size=_LARGEST_BYTES)
        app.router.add_post("/{token}/{endpoint}/{slot}/invocations", self._invoke)
        app.router.add_get("/{token}/{endpoint}/{slot}/ping", self._ping)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LAST_ANSWERS_S)
        thread, loop, end = threading.current_thread(), asyncio.get_running_loop(), asyncio.Event()
        limit = aiohttp.ClientTimeout(total=_ANSWER_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=limit, connector=connector) as session:
            self._session = session
            try:
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            except OSError as error:
                opened.set_exception(error)
                return

            def stop() -> None:
                loop.call_soon_threadsafe(end.set)
                thread.join()

            self._end = stop
            opened.set_result(runner.addresses[0][1])
            await end.wait()
            await runner.cleanup()

    def _known(self, request: web.Request) -> tuple["Endpoint", str]:
        endpoint = self._endpoints.get(request.match_info["endpoint"])
        if endpoint is None or not secrets.compare_digest(request.match_info["token"], self._token):
            raise web.HTTPNotFound
        return endpoint, request.match_info["slot"]

    async def _ping(self, request: web.Request) -> web.Response:
        endpoint, slot = self._known(request)
        try:
            found = await asyncio.to_thread(endpoint.seen)
        except PipelineError as error:
            return web.Response(status=503, text=str(error))
        there = found is not None and found.serves and slot in {_ALL, *found.variants}
        return web.Response(status=200 if there else 503)

    async def _invoke(self, request: web.Request) -> web.Response:
        endpoint, slot = self._known(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
        headers.setdefault("Content-Type", "application/json")
        if slot != _ALL:
            headers[_TARGET] = slot
        body = await request.read()
        try:
            signed = await self._signed(endpoint.name, headers, body)
            async with self._session.post(
                signed.url, data=body, headers=dict(signed.headers)
            ) as it:
                content = await it.read()
                told = await self._told(endpoint, it)
                status, content = _of_the_model(it.status, content)
                return web.Response(body=content, status=status, headers=told)
        except (aiohttp.ClientError, TimeoutError) as error:
            return web.Response(status=502, text=f"SageMaker gave no answer: {error!r}")

    async def _signed(self, endpoint: str, headers: dict[str, str], body: bytes) -> Any:
        runtime = self._clients.client("sagemaker-runtime")
        now = asyncio.get_running_loop().time()
        if now > self._credentials_until:
            held = self._clients.session.get_credentials()
            self._credentials = await asyncio.to_thread(held.get_frozen_credentials)
            self._credentials_until = now + _FRESH_S
        url = f"{runtime.meta.endpoint_url}/endpoints/{endpoint}/invocations"
        request = AWSRequest(method="POST", url=url, data=body, headers=headers)
        signing = runtime.meta.service_model.signing_name
        SigV4Auth(self._credentials, signing, runtime.meta.region_name).add_auth(request)
        return request.prepare()

    async def _told(self, endpoint: "Endpoint", it: aiohttp.ClientResponse) -> dict[str, str]:
        """The answer's headers as model servers of the pipeline name them."""
        told = {"Content-Type": it.headers.get("Content-Type", "application/json")}
        slot = it.headers.get(_VARIANT)
        if slot is not None:
            told["X-Model-Slot"] = slot
            key = (endpoint.name, slot)
            if key not in self._versions:
                self._versions[key] = await asyncio.to_thread(_version, endpoint, slot)
            told["X-Model-Version"] = self._versions[key]
        return told


def _of_the_model(status: int, content: bytes) -> tuple[int, bytes]:
    """What the container itself answered: SageMaker wraps its refusals in a ModelError, 424."""
    if status != _MODEL_ERROR:
        return status, content
    try:
        told = json.loads(content)
        return int(told["OriginalStatusCode"]), str(told.get("OriginalMessage", "")).encode()
    except (ValueError, KeyError, TypeError):
        return status, content


def _version(endpoint: "Endpoint", slot: str) -> str:
    try:
        found = endpoint.seen()
        if found is None or slot not in found.variants:
            return ""
        return endpoint.facts(found.variants[slot].model).get(names.VERSION, "")
    except (PipelineError, AbsentError):
        return ""
