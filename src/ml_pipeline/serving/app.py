"""What a model server answers: /ping, /invocations and /metrics."""

import asyncio
import logging
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import accumulate
from types import MappingProxyType

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ml_pipeline.domain.chaos import Chaos
from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.http import Request, Response
from ml_pipeline.serving.requests import Output, Query, parse_csv, parse_json
from ml_pipeline.serving.rows import Schema
from ml_pipeline.serving.servable import Servable, UnanswerableError, UnfitRowsError

_LOG = logging.getLogger(__name__)
#: The longest body taken, and the longest that is worked on without leaving the event loop.
BODY_BYTES = 16 * 1024 * 1024
_INLINE_BYTES = 64 * 1024
_BUCKETS_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
_PARSERS: dict[str, Callable[[bytes, Schema], Query]] = {
    "": parse_json,
    "application/json": parse_json,
    "text/csv": parse_csv,
}


class ModelApp:
    """One loaded model behind HTTP.

    Args:
        servable: the model.
        slot: name of the deployment.
        version: what is deployed; every answer carries both in `X-Model-Slot`, `X-Model-Version`.
        chaos: what it does wrong to /invocations, as a drill.
        routes: further paths, each with the path here that answers it.
        die: ends the process when the drill is a crash.
    """

    def __init__(
        self,
        servable: Servable,
        *,
        slot: str,
        version: str,
        chaos: Chaos,
        routes: Mapping[str, str] = MappingProxyType({}),
        die: Callable[[int], object] = os._exit,
    ) -> None:
        self._servable = servable
        self._chaos = chaos
        self._die = die
        self._received = 0
        self._headers = f"x-model-slot: {slot}\r\nx-model-version: {version}\r\n".encode("ascii")
        self._metrics = _Metrics(slot, version)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="large-batches")
        self._ping = orjson.dumps({
            "status": "ok", "slot": slot, "version": version, "digest": servable.info.digest,
        })  # fmt: skip
        self._routes: dict[str, tuple[str, Callable[[Request], Response | Awaitable[Response]]]]
        self._routes = {
            "/ping": ("GET", lambda _: self._answer(200, self._ping)),
            "/health": ("GET", lambda _: self._answer(200, self._ping)),
            "/metrics": ("GET", lambda _: self._answer(200, self._metrics.text(), _PROMETHEUS)),
            "/invocations": ("POST", self._invoke),
        }
        self._routes |= {path: self._routes[to] for path, to in routes.items()}

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        """Answer a request, now or later."""
        route = self._routes.get(request.path)
        if route is None:
            return self.refusal(404, f"there is nothing at {request.path[:100]!r}")
        allowed, handle = route
        if request.method != allowed and (request.method, allowed) != ("HEAD", "GET"):
            return self.refusal(405, f"{request.path} takes {allowed}, not {request.method}")
        return handle(request)

    def refusal(self, status: int, message: str, remedy: str = "") -> Response:
        """An error as MLflow's server words it, with what to do about it."""
        body = {"error_code": HTTPStatus(status).name, "message": message}
        return self._answer(status, orjson.dumps(body | ({"remedy": remedy} if remedy else {})))

    def _answer(self, status: int, body: bytes, content_type: bytes | None = None) -> Response:
        return Response(status, body, content_type or b"application/json", self._headers)

    def _invoke(self, request: Request) -> Response | Awaitable[Response]:
        started = asyncio.get_running_loop().time()
        self._received += 1
        if self._chaos.crashes(self._received):
            self._die(1)
        fails = self._chaos.fails(self._received)
        if fails or self._chaos.slow_ms or len(request.body) > _INLINE_BYTES:
            return self._invoke_later(request, started, fails=fails)
        return self._measured(self._predict(request), started)

    async def _invoke_later(self, request: Request, started: float, *, fails: bool) -> Response:
        loop = asyncio.get_running_loop()
        if self._chaos.slow_ms:
            await asyncio.sleep(self._chaos.slow_ms / 1000)
        if fails:
            response = self.refusal(500, "a drill: this deployment was made to fail")
        elif len(request.body) > _INLINE_BYTES:
            response = await loop.run_in_executor(self._pool, self._predict, request)
        else:
            response = self._predict(request)
        return self._measured(response, started)

    def _measured(self, response: Response, started: float) -> Response:
        self._metrics.count(response.status, asyncio.get_running_loop().time() - started)
        return response

    def _predict(self, request: Request) -> Response:
        kind = request.content_type.partition(";")[0].strip()
        parse = _PARSERS.get(kind)
        if parse is None:
            taken = "application/json or text/csv"
            return self.refusal(415, f"/invocations takes {taken}, not {kind[:100]!r}")
        try:
            query = parse(request.body, self._servable.schema)
        except DataError as error:
            return self.refusal(400, str(error), error.remedy)
        try:
            answer = self._answered(query)
        except (UnfitRowsError, UnanswerableError) as error:
            return self.refusal(400, str(error), error.remedy)
        except DataError as error:
            _LOG.warning("%s", error)
            return self.refusal(500, str(error), error.remedy)
        except Exception:  # noqa: BLE001 - the log keeps the traceback, the client an answer
            _LOG.exception("a request met a bug")
            return self.refusal(500, "a bug in the model server; its log has the traceback")
        return self._answer(200, orjson.dumps(answer))

    def _answered(self, query: Query) -> dict[str, object]:
        if query.output is not Output.PROBABILITIES:
            return {"predictions": self._servable.predict(query.batch, query.output)}
        likely = self._servable.likelihoods(query.batch)
        return {"predictions": likely.rows, "classes": likely.labels}


class _Metrics(Collector):
    """What Prometheus reads here.

    Plain counts, as only the event loop writes them: prometheus_client's own, with their locks,
    were a tenth of a request.
    """

    def __init__(self, slot: str, version: str) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        self._labels = (slot, version)
        self._by_status: Counter[int] = Counter()
        self._within = [0] * (len(_BUCKETS_S) + 1)
        self._sum_s = 0.0

    def count(self, status: int, seconds: float) -> None:
        self._by_status[status] += 1
        self._within[bisect_left(_BUCKETS_S, seconds)] += 1
        self._sum_s += seconds

    def collect(self) -> Iterable[Metric]:
        names = ("slot", "version")
        requests = CounterMetricFamily(
            "ml_pipeline_model_requests",
            "Prediction requests by status of their answer.",
            labels=(*names, "status"),
        )
        for status, number in sorted(self._by_status.items()):
            requests.add_metric((*self._labels, str(status)), number)
        seconds = HistogramMetricFamily(
            "ml_pipeline_model_request_seconds",
            "Seconds from a whole request to its answer.",
            labels=names,
        )
        limits = [*map(floatToGoString, _BUCKETS_S), "+Inf"]
        counted = list(zip(limits, accumulate(self._within), strict=True))
        seconds.add_metric(self._labels, counted, self._sum_s)
        return (requests, seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)
