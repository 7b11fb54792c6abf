"""Vertex AI on loopback: jobs, models, endpoints and metrics over gRPC, the rest over HTTP.

Messages are Google's own protobuf classes. Jobs and deployments run the programs their image
names, from a folder that stands for the image. What is assumed and not known: how long states
last, that a deployment is listed once it is healthy, that an id in use is refused, that a split
keeps shares of 0, that an endpoint on which something is being deployed is not deleted, which
operations are listed, and the buckets of latencies.

    python -m tests.emulators.vertex --image shop:1=examples/freshmart --folder /tmp/vertex
"""

import argparse
import itertools
import json
import re
import signal
import sys
import tempfile
import threading
import time
from concurrent import futures
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import proto
from google.cloud import monitoring_v3 as monitoring
from google.cloud.aiplatform_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from tests.emulators.vertex_endpoints import Endpoints
from tests.emulators.vertex_faults import Faults
from tests.emulators.vertex_http import Handler, Tokens, WebServer
from tests.emulators.vertex_jobs import Jobs
from tests.emulators.vertex_metrics import Metrics
from tests.emulators.vertex_models import Models
from tests.emulators.vertex_rules import RefusedError, check, now

_PARENT = "google.cloud.aiplatform.v1"
_ENDPOINT_CALLS = (
    "CreateEndpoint GetEndpoint ListEndpoints UpdateEndpoint DeleteEndpoint"
    " DeployModel UndeployModel"
)
METHODS = {
    f"{_PARENT}.JobService": (
        "jobs",
        "CreateCustomJob GetCustomJob ListCustomJobs CancelCustomJob",
    ),
    f"{_PARENT}.ModelService": (
        "models",
        "UploadModel GetModel ListModelVersions MergeVersionAliases UpdateModel DeleteModelVersion",
    ),
    f"{_PARENT}.EndpointService": ("endpoints", _ENDPOINT_CALLS),
}
_WORKED_ON = re.compile(r"^projects/[^/]+/locations/[^/]+/(endpoints|models)/[^/]+$")
#: What an operation says of itself, where its method gives it no name.
_METADATA = dict.fromkeys(("DeleteEndpoint", "DeleteModelVersion"), types.DeleteOperationMetadata)


class Operations:
    """Long-running operations: each takes its time, and may fail at its end."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.pending: dict[str, dict[str, Any]] = {}

    def begin(self, method: str, parent: str, done: Any, kind: Any, **more: Any) -> Any:
        del kind
        name = f"{parent}/operations/{self.world.number()}"
        operation = operations_pb2.Operation(name=name)
        told = _METADATA.get(method) or getattr(types, f"{method}OperationMetadata")
        generic = types.GenericOperationMetadata(create_time=now())
        operation.metadata.Pack(told.pb(told(generic_metadata=generic)))
        fails = self.world.failing.pop(threading.get_ident(), None)
        self.pending[name] = {
            "operation": operation, "done": done, "fails": fails,
            "at": time.monotonic() + self.world.latency_s,
            "ready": more.get("ready", lambda: True), "stop": more.get("stop", lambda: None),
        }  # fmt: skip
        return operation

    def go_on(self, ended: threading.Event) -> None:
        """Bring every operation to its end when its time has come, whoever looks."""
        while not ended.wait(0.02):
            for known in list(self.pending.values()):
                if not known["operation"].done and time.monotonic() >= known["at"]:
                    self._advance(known)

    def _advance(self, known: dict[str, Any]) -> None:
        operation = known["operation"]
        try:
            answer = self._outcome(known)
        except RefusedError as error:
            code = code_pb2.Code.Value(error.code)
            operation.error.CopyFrom(status_pb2.Status(code=code, message=error.message))
            operation.done = True
            return
        if answer is not None:
            pb = type(answer).pb(answer) if isinstance(answer, proto.Message) else answer
            packed = any_pb2.Any()
            packed.Pack(pb)
            operation.response.CopyFrom(packed)
            operation.done = True

    def _outcome(self, known: dict[str, Any]) -> Any:
        if known["fails"]:
            known["stop"]()
            raise RefusedError(known["fails"], "a fault put into what this operation does")
        return known["done"]() if known["ready"]() else None

    def GetOperation(self, request: Any) -> Any:  # noqa: N802
        if request.name not in self.pending:
            raise RefusedError("NOT_FOUND", f"{request.name} not found")
        return self.pending[request.name]["operation"]

    def ListOperations(self, request: Any) -> Any:  # noqa: N802
        """Pages of two: whoever reads only the first one misses some."""
        of = _WORKED_ON.match(request.name)
        if not of:
            raise RefusedError("INVALID_ARGUMENT", f"no operations of {request.name!r} here")
        if request.filter:
            raise RefusedError("INVALID_ARGUMENT", "nobody knows which filters there are")
        if of[1] == "endpoints" and request.name not in self.world.endpoints.endpoints:
            raise RefusedError("NOT_FOUND", f"{request.name} not found")
        known = [name for name in self.pending if name.startswith(f"{request.name}/operations/")]
        start = int(request.page_token or 0)
        end = start + min(request.page_size or 2, 2)
        return operations_pb2.ListOperationsResponse(
            operations=[self.pending[name]["operation"] for name in known[start:end]],
            next_page_token=str(end) if end < len(known) else "",
        )

    def CancelOperation(self, request: Any) -> Any:  # noqa: N802
        known = self.pending.get(request.name)
        if known and not known["operation"].done:
            known["stop"]()
            known["operation"].error.CopyFrom(status_pb2.Status(code=1, message="cancelled"))
            known["operation"].done = True
        return empty_pb2.Empty()


class VertexEmulator:
    """Everything, started with `start` and ended with `stop`.

    Args:
        folder: buckets lie in `store/` there.
        images: folder of the project by image reference.
        server: a file that replaces the model server, for tests without models.
        latency_s: how long each change of state takes.
        period_s: one sample of the metrics each.
        delay_s: until a sample can be read.
        project_env: environment the training's `python` is from.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: dict[str, Path] | None = None,
        server: str = "",
        latency_s: float = 0.2,
        period_s: float = 0.5,
        delay_s: float = 0.2,
        project_env: str = sys.prefix,
    ) -> None:
        self.store = folder.resolve() / "store"
        self.images = {} if images is None else images
        self.server = server
        self.latency_s = latency_s
        self.project_env = project_env
        self.faults, self.tokens = Faults(), Tokens()
        self.failing: dict[int, str] = {}
        #: what used it, and is to let go of it before it stops
        self.users: list[Any] = []
        self._numbers = itertools.count(1001)
        self.jobs, self.models, self.endpoints = Jobs(self), Models(self), Endpoints(self)
        self.operations, self.metrics = Operations(self), Metrics(self, period_s, delay_s)

    def bucket(self, name: str) -> None:
        (self.store / name).mkdir(parents=True, exist_ok=True)

    def number(self) -> int:
        return next(self._numbers)

    def now(self) -> datetime:
        return now()

    def monotonic(self) -> float:
        return time.monotonic()

    def start(self, port: int = 0, grpc_port: int = 0) -> None:
        self._web = WebServer(("127.0.0.1", port), Handler)
        self._web.world = self
        self.url = f"http://127.0.0.1:{self._web.server_address[1]}"
        threading.Thread(target=self._web.serve_forever, args=(0.05,), daemon=True).start()
        self._ended = threading.Event()
        threading.Thread(target=self.operations.go_on, args=(self._ended,), daemon=True).start()
        self._grpc = grpc.server(futures.ThreadPoolExecutor(16))
        for service, (part, names) in METHODS.items():
            self._serve(service, getattr(self, part), names.split(), types)
        self._serve(
            "google.monitoring.v3.MetricService", self.metrics, ["ListTimeSeries"], monitoring
        )
        self._serve(
            "google.longrunning.Operations", self.operations,
            ["GetOperation", "ListOperations", "CancelOperation"], operations_pb2,
        )  # fmt: skip
        self.grpc_address = f"127.0.0.1:{self._grpc.add_insecure_port(f'127.0.0.1:{grpc_port}')}"
        self._grpc.start()

    def stop(self) -> None:
        for user in self.users:
            user.close()
        self._ended.set()
        self._grpc.stop(None).wait()
        self._web.shutdown()
        self._web.server_close()
        self.jobs.stop()
        self.endpoints.stop()

    def settings(self, **more: Any) -> dict[str, Any]:
        """The section `[vertex]` of a project that uses it."""
        return {
            "project": "emulated-project", "bucket": "emulated", "image": "shop:1",
            "emulator_url": self.url, "emulator_grpc": self.grpc_address,
            "metrics_period_s": self.metrics.period_s, "metrics_delay_s": self.metrics.delay_s,
            **more,
        }  # fmt: skip

    def _serve(self, service: str, part: Any, names: list[str], messages: Any) -> None:
        handlers = {}
        for name in names:
            request = getattr(messages, f"{name}Request")
            read = request.deserialize if hasattr(request, "deserialize") else request.FromString
            handlers[name] = grpc.unary_unary_rpc_method_handler(
                self._answering(part, name), request_deserializer=read, response_serializer=_bytes
            )
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, handlers),)
        )

    def _answering(self, part: Any, name: str) -> Any:
        def answer(request: Any, context: Any) -> Any:
            try:
                told = dict(context.invocation_metadata())
                self.tokens.check(told.get("authorization", ""))
                fault = self.faults.meet(name)
                check(request)
                if fault is not None and fault.lost and name == "CancelOperation":
                    return empty_pb2.Empty()
                if fault is not None and fault.lost:
                    return self.endpoints.GetEndpoint(request.endpoint)
                if fault is not None and fault.operation:
                    self.failing[threading.get_ident()] = fault.code
                done = getattr(part, name)(request) or empty_pb2.Empty()
                if fault is None or not fault.unheard:
                    return done
                raise RefusedError("UNAVAILABLE", "Connection reset by peer")  # noqa: TRY301
            except RefusedError as error:
                context.abort_with_status(_status(error))

        return answer


class _status(grpc.Status):  # noqa: N801
    def __init__(self, error: RefusedError) -> None:
        self.code = grpc.StatusCode[error.code]
        self.details = error.message
        self.trailing_metadata = ()
        if error.retry_after_s is not None:
            told = status_pb2.Status(code=self.code.value[0], message=error.message)
            wait = duration_pb2.Duration()
            wait.FromMilliseconds(int(error.retry_after_s * 1000))
            told.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=wait))
            self.trailing_metadata = (("grpc-status-details-bin", told.SerializeToString()),)


def _bytes(message: Any) -> bytes:
    pb = type(message).pb(message) if isinstance(message, proto.Message) else message
    return pb.SerializeToString()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "vertex")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--image", action="append", default=[], help="reference=folder")
    parser.add_argument(
        "--chaos", action="append", default=[], help="slot=drill, such as v2=errors=0.3"
    )
    parser.add_argument("--latency-s", type=float, default=0.5)
    asked = parser.parse_args()
    images = {
        ref: Path(folder).resolve() for ref, _, folder in (i.rpartition("=") for i in asked.image)
    }
    emulator = VertexEmulator(asked.folder, images=images, latency_s=asked.latency_s)
    emulator.faults.chaos.update(dict(one.split("=", 1) for one in asked.chaos))
    emulator.bucket("emulated")
    emulator.start(asked.port, asked.grpc_port)
    sys.stdout.write(json.dumps(emulator.settings()) + "\n")
    sys.stdout.flush()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    emulator.stop()


if __name__ == "__main__":
    main()
