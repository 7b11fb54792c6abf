"""Azure ML on this machine, over HTTPS: jobs train, endpoints serve, metrics are of that.

    python tests/emulators/azureml.py --port 0 --source examples/freshmart --env PROJECT/.venv

prints the variables a shell needs to use it. What it assumes of the real service: how long state
changes take, that a PUT replaces tags whole, that traffic must name deployments and sum to 0 or
100, that a deployment with traffic cannot be deleted, and that one that failed cannot be updated.
"""
# ruff: noqa: C901, PLR0911 - its own clock and console, a branch a route

import argparse
import json
import re
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.emulators import azureml_spec as spec
from tests.emulators.azureml_blobs import Blobs
from tests.emulators.azureml_endpoints import Deployment, Endpoint
from tests.emulators.azureml_programs import Image, Job, job_program
from tests.emulators.azureml_tls import certificate, server_context

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP, WORKSPACE, REGION = "rg", "workspace", "westeurope"
SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
ACCOUNT, CONTAINER, DATASTORE = "account", "azureml-blobstore", "workspaceblobstore"
_PATHS = re.compile(r"azureml://(?:.*/)?datastores/[^/]+/paths/(.+?)/?$")
_NAMES = {
    "onlineEndpoints": re.compile(r"^[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]$"),
    "deployments": re.compile(r"^[a-zA-Z][a-zA-Z0-9-]{2,31}$"),
    "jobs": re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"),
}


class RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Fault:
    """What happens to the next `times` requests whose `METHOD path` the pattern finds.

    `kind` is an HTTP status, `reset` (the connection ends without an answer), `unheard`
    (so too, after the request did its work) or `slow`. `then` is called before the answer.
    """

    pattern: str
    kind: int | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    code: str = ""
    then: Callable[[], None] = lambda: None
    seen: int = 0


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class AzuremlEmulator:
    """One workspace.

    Args:
        root: its disk.
        image: what every image reference stands for.
        latency_s: how long a state change takes.
        period_s, late_s: grain of the metrics, and how late they come.
    """

    def __init__(
        self,
        root: Path,
        image: Image,
        *,
        latency_s: float = 0.05,
        period_s: float = 60.0,
        late_s: float = 0.0,
        port: int = 0,
    ) -> None:
        self.root, self.image, self.latency_s = root, image, latency_s
        self.period_s, self.late_s = period_s, late_s
        self.blobs = Blobs(root / ACCOUNT)
        self.store: dict[str, dict] = {}
        self.jobs: dict[str, Job] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.metrics: dict[str, list[dict]] = {}
        #: whether requests are counted and their latencies are not
        self.latencies_lost = False
        self.operations: dict[str, float] = {}
        self.faults: list[Fault] = []
        self.tokens: set[str] = set()
        #: tokens of a CI job that Entra ID has not seen yet
        self.assertions: list[str] = []
        self.calls: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.broken_deployments: dict[str, str] = {}
        #: share of requests a deployment answers with 500, by `endpoint/deployment`
        self.errors: dict[str, float] = {}
        self.new_job: Callable[[Job], None] = lambda _job: None
        #: what used it, and is to let go of it before it stops
        self.users: list[Any] = []
        self.lock = threading.RLock()
        (root / "tls").mkdir(parents=True, exist_ok=True)
        self.cert, key = certificate(root / "tls")
        self.server = _Server(("127.0.0.1", port), _handler(self))
        self.server.socket = server_context(self.cert, key).wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.server.server_port}"

    # --- for tests

    def start(self) -> "AzuremlEmulator":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        for user in self.users:
            user.close()
        self.server.shutdown()
        self.server.server_close()
        for job in self.jobs.values():
            job.cancel()
            job.thread.join(30)
        for endpoint in self.endpoints.values():
            for deployment in endpoint.deployments.values():
                deployment.program.stop()

    def fault(self, pattern: str, kind: int | str, times: int = 1, **more) -> Fault:
        """Have something go wrong; see `Fault`."""
        made = Fault(pattern, kind, times, **more)
        self.faults.append(made)
        return made

    def expire_tokens(self) -> None:
        """Every token given so far is refused from now on."""
        self.tokens.clear()

    def environment(self) -> dict[str, str]:
        """Variables with which Azure's SDKs find identity and trust here."""
        return {
            "IDENTITY_ENDPOINT": f"{self.url}/identity/token",
            "IDENTITY_HEADER": "emulator",
            "REQUESTS_CA_BUNDLE": str(self.cert),
            "SSL_CERT_FILE": str(self.cert),
            "NO_PROXY": "127.0.0.1",
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        }

    def settings(self, **more: object) -> dict[str, object]:
        """`[azureml]` for this workspace."""
        return {
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "workspace": WORKSPACE,
            "image": "registry.example/project@sha256:" + "0" * 64,
            "endpoint_url": self.url,
            "change_poll_s": 0.05,
            "metrics_period_s": self.period_s,
            "metrics_delay_s": self.late_s,
            **more,
        }

    # --- HTTP

    def handle(self, method: str, path: str, query: dict, body: bytes, headers: dict):
        """Status, headers and content of one request."""
        if path == "/identity/token":
            return 200, {}, self._token(query, headers)
        if path == "/ci/token" or path.endswith("/oauth2/v2.0/token"):
            return 200, {}, self._federated(path, query, body, headers)
        scored = re.fullmatch(r"/endpoint/([^/]+)/score", path)
        if scored:
            return self._score(scored[1], body, headers)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.tokens:
            raise RefusalError(401, "AuthenticationFailed", "the token has expired")
        if path.startswith(f"/{ACCOUNT}/"):
            return self.blobs.handle(
                method, path.removeprefix(f"/{ACCOUNT}/"), query, body, headers
            )
        data = json.loads(body) if body else None
        if path.endswith("/metrics:getBatch"):
            return 200, {}, self._monitored(query, data)
        if "/api/2.0/mlflow/" in path:
            return 200, {}, self._mlflow(path.rsplit("/mlflow/", 1)[1], query, data)
        if path.startswith("/ops/"):
            done = time.monotonic() >= self.operations[path]
            return 200, {"Retry-After": "0"}, {"status": "Succeeded" if done else "InProgress"}
        if not path.startswith(SCOPE):
            raise RefusalError(403, "AuthorizationFailed", f"no access to {path}")
        with self.lock:
            return self._arm(method, path, query, data)

    def _federated(self, path: str, query: dict, body: bytes, headers: dict) -> dict:
        """A CI job's own token, and what Entra ID gives for one: once each, for they end soon."""
        if path == "/ci/token":
            if headers.get("authorization") != "Bearer ci" or "v" not in query:
                raise RefusalError(401, "Unauthorized", "not this job")
            self.assertions.append(f"{uuid.uuid4().hex} for {query.get('audience')}")
            return {"value": self.assertions[-1]}
        asked = dict(parse_qsl(body.decode()))
        own = asked.get("client_assertion", "")
        if own not in self.assertions or not own.endswith(" for api://AzureADTokenExchange"):
            raise RefusalError(401, "invalid_client", "AADSTS700024: the assertion is not valid")
        self.assertions.remove(own)
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def _token(self, query: dict, headers: dict) -> dict:
        if headers.get("x-identity-header") != "emulator":
            raise RefusalError(400, "BadRequest", "no identity header")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        expires = str(int(time.time()) + 86_400)
        return {
            "access_token": token,
            "expires_on": expires,
            "resource": query.get("resource", ""),
            "token_type": "Bearer",
        }

    def _score(self, name: str, body: bytes, headers: dict):
        endpoint = self.endpoints.get(name)
        if endpoint is None:
            raise RefusalError(404, "NotFound", "no such endpoint")
        if headers.get("authorization") != f"Bearer {endpoint.key}":
            raise RefusalError(401, "key_auth_access_denied", "wrong key")
        return endpoint.score(headers.get("azureml-model-deployment"), body, headers)

    # --- MLflow and Azure Monitor

    def _mlflow(self, call: str, query: dict, data: dict | None) -> dict:
        if call == "runs/log-batch":
            self.metrics[data["run_id"]] = data["metrics"]
            return {}
        run = query["run_id"]
        if f"{SCOPE}/jobs/{run}" not in self.store:
            raise RefusalError(404, "RESOURCE_DOES_NOT_EXIST", f"no run {run}")
        return {"run": {"info": {"run_id": run}, "data": {"metrics": self.metrics.get(run, [])}}}

    def _monitored(self, query: dict, data: dict) -> dict:
        resource = data["resourceids"][0]
        endpoint = self.endpoints[resource.rsplit("/", 1)[1]]
        name = re.search(r"deployment eq '([^']+)'", query["filter"])[1]
        start, end = (
            datetime.fromisoformat(query[key]).timestamp() for key in ("starttime", "endtime")
        )
        metric = query["metricnames"]
        series = endpoint.points(
            metric, name, self.period_s, (start, end), time.time() - self.late_s
        )
        shown = [
            {
                "metadatavalues": [{"name": {"value": "deployment"}, "value": name}]
                + ([{"name": {"value": "statuscodeclass"}, "value": kind}] if kind else []),
                "data": [
                    {"timeStamp": datetime.fromtimestamp(at, UTC).isoformat(), "average": value}
                    for at, value in sorted(points.items())
                ],
            }
            for kind, points in series.items()
            if not (self.latencies_lost and metric.startswith("RequestLatency"))
        ]
        answer = {
            "id": f"{resource}/{metric}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": metric, "localizedValue": metric},
            "unit": "Count",
            "timeseries": shown,
        }
        return {
            "values": [{
                "starttime": query["starttime"], "endtime": query["endtime"], "interval": "PT1M",
                "namespace": query["metricnamespace"], "resourceregion": REGION,
                "resourceid": resource, "value": [answer],
            }]
        }  # fmt: skip

    # --- Azure's resource manager

    def _arm(self, method: str, path: str, query: dict, data: dict | None):
        if "api-version" not in query:
            raise RefusalError(400, "MissingApiVersionParameter", "api-version is missing")
        rest = path.removeprefix(SCOPE)
        if method == "PUT":
            return self._put(path, rest, data)
        if method == "POST":
            return self._post(path, rest)
        if method == "DELETE":
            return self._delete(path, rest)
        return 200, {}, self._get(path, rest, query)

    def _get(self, path: str, rest: str, query: dict) -> dict:
        if rest == "":
            return self._workspace()
        if rest == f"/datastores/{DATASTORE}":
            return self._datastore(path)
        if path in self.store:
            return self._shown(path)
        parts = rest.strip("/").split("/")
        if len(parts) % 2:
            if len(parts) > 2 and parts[0] == "onlineEndpoints" and parts[1] not in self.endpoints:
                raise RefusalError(404, "ResourceNotFound", f"{rest} was not found")
            return self._listed(path, query)
        raise RefusalError(404, "UserError", f"{rest} was not found")

    def _listed(self, path: str, query: dict) -> dict:
        below = [
            key for key in self.store
            if key.startswith(f"{path}/") and "/" not in key.removeprefix(f"{path}/")
        ]  # fmt: skip
        if query.get("listViewType", "ActiveOnly") == "ActiveOnly":
            below = [k for k in below if not self.store[k]["properties"].get("isArchived")]
        if "tag" in query:
            tagged = [
                k for k in below if query["tag"] in (self.store[k]["properties"].get("tags") or {})
            ]
            below = tagged
        skip = int(query.get("$skip", 0))
        page = below[skip : skip + 20]  # small, so that paging is used
        answer: dict = {"value": [self._shown(key) for key in page]}
        if len(below) > skip + 20:
            more = "&".join(f"{k}={v}" for k, v in query.items() if k != "$skip")
            answer["nextLink"] = f"{self.url}{path}?{more}&$skip={skip + 20}"
        return answer

    def _shown(self, path: str) -> dict:
        body = json.loads(json.dumps(self.store[path]))
        name, rest = path.rsplit("/", 1)[1], path.removeprefix(SCOPE)
        properties = body["properties"]
        if rest.startswith("/jobs/"):
            properties["status"] = self.jobs[name].status
        elif "/deployments/" in rest:
            found = self.endpoints[rest.split("/")[2]].deployments[name]
            properties["provisioningState"] = found.state
        elif rest.startswith("/onlineEndpoints/"):
            endpoint = self.endpoints[name]
            properties["provisioningState"] = endpoint.state
            properties["traffic"] = endpoint.traffic
        wrong = spec.faults(path, body, request=False)
        self.violations += [f"answer {rest}: {one}" for one in wrong]
        return body

    def _put(self, path: str, rest: str, data: dict):
        self._checked(path, rest, data)
        parts = rest.strip("/").split("/")
        name, kind = parts[-1], parts[-2]
        if kind in _NAMES and not _NAMES[kind].match(name):
            raise RefusalError(400, "InvalidName", f"{name!r} is no name for {kind}")
        created = path not in self.store
        body = {
            **data,
            "id": path,
            "name": name,
            "type": "Microsoft.MachineLearningServices/workspaces/" + "/".join(parts[::2]),
            "systemData": {
                "createdAt": _now() if created else self.store[path]["systemData"]["createdAt"],
                "createdBy": "t",
                "createdByType": "User",
                "lastModifiedAt": _now(),
            },
        }
        made = {
            "jobs": self._put_job,
            "onlineEndpoints": self._put_endpoint,
            "deployments": self._put_deployment,
            "versions": self._put_version,
        }.get(kind)
        answer = made(path, parts, body, created) if made else None
        if answer is None:
            self.store[path] = body
            return (201 if created else 200), {}, self._shown(path)
        return answer

    def _checked(self, path: str, rest: str, data: dict) -> None:
        wrong = spec.faults(path, data, request=True)
        if wrong:
            self.violations += [f"PUT {rest}: {one}" for one in wrong]
            raise RefusalError(400, "ValidationError", "; ".join(wrong))

    def _put_version(self, path: str, parts: list[str], body: dict, created: bool):
        properties = body["properties"]
        if parts[0] == "models":
            if not created:
                before = self.store[path]["properties"].get("properties") or {}
                if any((properties.get("properties") or {}).get(k) != v for k, v in before.items()):
                    raise RefusalError(400, "UserError", "properties cannot be changed")
            properties["flavors"] = properties.get("flavors") or {}
            properties["provisioningState"] = "Succeeded"

    def _put_job(self, path: str, parts: list[str], body: dict, created: bool):
        if not created:
            raise RefusalError(409, "UserError", f"a job {parts[-1]} exists already")
        properties, name = body["properties"], parts[-1]
        studio = f"https://ml.azure.com/runs/{name}?wsid={SCOPE}"
        properties["services"] = {"Studio": {"jobServiceType": "Studio", "endpoint": studio}}
        folders = {
            key: self._folder(one["uri"])
            for kind in ("inputs", "outputs")
            for key, one in (properties.get(kind) or {}).items()
            if "uri" in one
        }
        mlflow = {"MLFLOW_TRACKING_URI": f"{self._tracking()}", "MLFLOW_RUN_ID": name}
        token = uuid.uuid4().hex
        self.tokens.add(token)
        mlflow["MLFLOW_TRACKING_TOKEN"] = token
        limit = (properties.get("limits") or {}).get("timeout")
        job = Job(
            lambda: job_program(body, self.image, folders, self.root / "jobs" / name, mlflow),
            self.latency_s,
            limit_s=None if limit is None else _seconds(limit),
        )
        self.new_job(job)
        self.jobs[name] = job
        self.store[path] = body
        job.thread.start()
        return 201, {}, self._shown(path)

    def _put_endpoint(self, path: str, parts: list[str], body: dict, created: bool):
        name, properties = parts[-1], body["properties"]
        traffic = properties.get("traffic") or {}
        there = {} if created else self.endpoints[name].deployments
        if sum(traffic.values()) not in {0, 100} or set(traffic) - set(there):
            raise RefusalError(400, "InvalidTraffic", f"traffic {traffic} with {sorted(there)}")
        properties["scoringUri"] = f"{self.url}/endpoint/{name}/score"
        properties["swaggerUri"] = f"{self.url}/endpoint/{name}/swagger.json"
        if created:
            self.endpoints[name] = Endpoint(body, self.latency_s, self.errors)
        elif self.endpoints[name].changing:
            raise RefusalError(409, "Conflict", f"endpoint {name} is being changed")
        else:
            self.endpoints[name].update(body)
        self.store[path] = body
        return self._accepted(path, 201 if created else 200)

    def _put_deployment(self, path: str, parts: list[str], body: dict, created: bool):
        endpoint, name = self.endpoints.get(parts[1]), parts[-1]
        if endpoint is None:
            raise RefusalError(404, "ResourceNotFound", f"no endpoint {parts[1]}")
        if endpoint.state != "Succeeded":
            raise RefusalError(409, "Conflict", f"endpoint {parts[1]} is being changed")
        properties = body["properties"]
        model = self.store.get(properties["model"])
        if model is None:
            raise RefusalError(404, "UserError", f"no model {properties['model']}")
        properties.setdefault("scaleSettings", {"scaleType": "Default"})
        before = endpoint.deployments.get(name)
        if before is not None and before.state == "Failed":
            raise RefusalError(400, "BadRequest", f"{name} failed: it can only be deleted")
        if before is not None:
            before.program.stop()
        home = self.root / "deployments" / parts[1] / name
        made = Deployment(
            body, self.image, self._folder(model["properties"]["modelUri"]), home, self.latency_s
        )
        made.fails = self.broken_deployments.get(name)
        endpoint.deployments[name] = made
        self.store[path] = body
        return self._accepted(path, 201 if created else 200)

    def _post(self, path: str, rest: str):
        parts = rest.strip("/").split("/")
        if parts[-1] == "cancel":
            if path.removesuffix("/cancel") not in self.store:
                raise RefusalError(404, "UserError", f"no job {parts[1]}")
            job = self.jobs[parts[1]]
            if job.status in {"Completed", "Failed", "Canceled"}:
                raise RefusalError(400, "UserError", f"job {parts[1]} has ended")
            job.cancel()
            return self._accepted(None, 202)
        if parts[-1] == "listKeys":
            key = self.endpoints[parts[1]].key
            return 200, {}, {"primaryKey": key, "secondaryKey": key}
        if parts[-1] == "getLogs":
            found = self.endpoints[parts[1]].deployments[parts[3]]
            return 200, {}, {"content": found.fails or found.program.tail(50)}
        raise RefusalError(404, "NotFound", f"no action {rest}")

    def _delete(self, path: str, rest: str):
        parts = rest.strip("/").split("/")
        if path not in self.store:
            return 204, {}, None
        endpoint = self.endpoints[parts[1]]
        if parts[-2] == "deployments":
            if endpoint.traffic.get(parts[-1]):
                raise RefusalError(400, "UserError", f"{parts[-1]} has traffic")
            endpoint.deployments.pop(parts[-1]).program.stop()
        else:
            for one in endpoint.deployments.values():
                one.program.stop()
            del self.endpoints[parts[1]]
            for key in [k for k in self.store if k.startswith(f"{path}/")]:
                del self.store[key]
        del self.store[path]
        return self._accepted(None, 202)

    def _accepted(self, path: str | None, status: int):
        operation = f"/ops/{uuid.uuid4()}"
        self.operations[operation] = time.monotonic() + self.latency_s
        address = f"{self.url}{operation}"
        headers = {"Azure-AsyncOperation": address, "Location": address, "Retry-After": "0"}
        return status, headers, None if path is None else self._shown(path)

    def _folder(self, uri: str) -> Path:
        found = self.blobs.folder(CONTAINER) / _PATHS.match(uri)[1]
        if not found.is_file():
            found.mkdir(parents=True, exist_ok=True)
        return found

    def _tracking(self) -> str:
        return f"azureml://{self.url.removeprefix('https://')}/mlflow/v1.0{SCOPE}"

    def _workspace(self) -> dict:
        return {
            "id": SCOPE,
            "name": WORKSPACE,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": REGION,
            "tags": {},
            "properties": {
                "friendlyName": WORKSPACE,
                "workspaceId": "11111111-1111-1111-1111-111111111111",
                "discoveryUrl": f"{self.url}/discovery",
                "mlFlowTrackingUri": self._tracking(),
                "provisioningState": "Succeeded",
                "storageAccount": f"/subscriptions/{SUBSCRIPTION}/storageAccounts/{ACCOUNT}",
            },
        }

    def _datastore(self, path: str) -> dict:
        return {
            "id": path,
            "name": DATASTORE,
            "type": "Microsoft.MachineLearningServices/workspaces/datastores",
            "properties": {
                "datastoreType": "AzureBlob",
                "accountName": ACCOUNT,
                "containerName": CONTAINER,
                "endpoint": "core.windows.net",
                "protocol": "https",
                "isDefault": True,
                "credentials": {"credentialsType": "None"},
            },
        }


def _seconds(duration: str) -> float:
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", duration)
    hours, minutes, seconds = (float(one or 0) for one in found.groups())
    return hours * 3600 + minutes * 60 + seconds


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _handler(emulator: AzuremlEmulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *args) -> None:
            pass

        def _go(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            headers = {key.lower(): value for key, value in self.headers.items()}
            emulator.calls.append((self.command, parts.path))
            if self._faulty(parts.path):
                return
            unheard = self._met(parts.path, unheard=True) is not None
            try:
                status, more, content = emulator.handle(
                    self.command, parts.path, query, body, headers
                )
            except RefusalError as refusal:
                status, more = refusal.status, {"x-ms-error-code": refusal.code}
                content = {"error": {"code": refusal.code, "message": str(refusal), "details": []}}
            except Exception as error:  # noqa: BLE001
                emulator.violations.append(f"{self.command} {self.path}: {error!r}")
                status, more = 500, {}
                content = {"error": {"code": "Bug", "message": repr(error)}}
            if unheard:
                self._drop()
            else:
                self._answer(status, more, content)

        def _met(self, path: str, *, unheard: bool) -> Fault | None:
            for fault in emulator.faults:
                asked = (fault.kind == "unheard") is unheard
                if asked and fault.times and re.search(fault.pattern, f"{self.command} {path}"):
                    fault.times -= 1
                    fault.seen += 1
                    return fault
            return None

        def _drop(self) -> None:
            self.close_connection = True
            self.connection.close()

        def _faulty(self, path: str) -> bool:
            fault = self._met(path, unheard=False)
            if fault is None:
                return False
            if fault.kind == "slow":
                time.sleep(fault.seconds)
                return False
            if fault.kind == "reset":
                self._drop()
                return True
            fault.then()
            code = fault.code or str(fault.kind)
            error = {"code": code, "message": f"an injected {fault.kind}"}
            self._answer(int(fault.kind), fault.headers, {"error": error})
            return True

        def _answer(self, status: int, headers: dict, content: object) -> None:
            data = content if isinstance(content, bytes) else b""
            if content is not None and not isinstance(content, bytes):
                data = json.dumps(content).encode()
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)
            self.wfile.flush()

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = _go  # noqa: N815 - http.server names them

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description="Azure ML on this machine.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--source", type=Path, required=True, help="the project in the image")
    parser.add_argument("--env", type=Path, required=True, help="its virtual environment")
    parser.add_argument("--folder", type=Path, help="the workspace's disk; a new one without")
    parser.add_argument("--latency-s", type=float, default=0.5)
    parser.add_argument("--period-s", type=float, default=3.0)
    parser.add_argument("--late-s", type=float, default=3.0)
    given = parser.parse_args()
    image = Image(source=given.source.resolve(), project_env=given.env.resolve())
    emulator = AzuremlEmulator(
        given.folder or Path(tempfile.mkdtemp(prefix="azureml-")), image,
        latency_s=given.latency_s, period_s=given.period_s, late_s=given.late_s, port=given.port,
    ).start()  # fmt: skip
    for key, value in emulator.environment().items():
        print(f"export {key}={value}")
    for key, value in emulator.settings().items():
        print(f"export ML_PIPELINE_AZUREML__{key.upper()}={value}")
    print("export ML_PLATFORM=azureml", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        emulator.stop()


if __name__ == "__main__":
    main()
