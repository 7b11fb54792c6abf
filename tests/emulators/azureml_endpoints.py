"""Emulated online endpoints: traffic that is really split, deployments that really serve."""

import http.client
import random
import threading
import time
from collections import defaultdict
from pathlib import Path

from tests.emulators.azureml_programs import Image, Program, port_of, server_program

PERIOD_S = 60.0


class Deployment:
    """One deployment: `state` is Creating until its container answers, then Succeeded."""

    def __init__(self, body: dict, image: Image, model: Path, home: Path, latency_s: float) -> None:
        self.body = body
        self.program: Program = server_program(body, image, model, home)
        self.ready_at = time.monotonic() + latency_s
        self.stuck = False
        self.fails: str | None = None
        self.program.start()
        self._state = "Creating"

    @property
    def port(self) -> int | None:
        return port_of(self.program)

    @property
    def state(self) -> str:
        if self._state == "Creating":
            if self.fails or self.program.code is not None:
                self._state = "Failed"
            elif not self.stuck and time.monotonic() >= self.ready_at and self.port is not None:
                self._state = "Succeeded"
        return self._state


class Endpoint:
    """One endpoint.

    Args:
        body: as put.
        latency_s: how long a change takes to be applied.
        errors: share of requests answered with 500, by deployment.
    """

    def __init__(self, body: dict, latency_s: float, errors: dict[str, float]) -> None:
        self.body = body
        self.latency_s = latency_s
        self.errors = errors
        self.deployments: dict[str, Deployment] = {}
        self.key = "key-of-the-emulator"
        self.traffic: dict[str, int] = {}
        self._next: dict[str, int] | None = None
        self._changing_until = time.monotonic() + latency_s
        self.made = False
        self.lost_writes = 0
        self._lock = threading.Lock()
        self._counted: dict[str, int] = defaultdict(int)
        #: (deployment, status, ms, when) of every request answered
        self.seen: list[tuple[str, int, float, float]] = []

    def update(self, body: dict) -> None:
        """Begin a change; it is applied when its time has passed."""
        self.body = body
        wanted = body["properties"].get("traffic") or {}
        if self.lost_writes and wanted != self.traffic:
            self.lost_writes -= 1
        else:
            self._next = dict(wanted)
        self._changing_until = time.monotonic() + self.latency_s

    @property
    def changing(self) -> bool:
        return time.monotonic() < self._changing_until

    @property
    def state(self) -> str:
        if self.changing:
            return "Updating" if self.made else "Creating"
        self.made = True
        if self._next is not None:
            self.traffic, self._next = self._next, None
        return "Succeeded"

    def score(self, named: str | None, body: bytes, headers: dict) -> tuple[int, dict, bytes]:
        """One request, to a deployment by name or by weight."""
        _ = self.state
        name = named or self._drawn()
        deployment = self.deployments.get(name or "")
        if deployment is None or deployment.port is None:
            return 404 if named else 503, {}, b'{"message": "no deployment serves this"}'
        begun = time.monotonic()
        with self._lock:
            self._counted[name] += 1
            count = self._counted[name]
            share = self.errors.get(f"{self.body['name']}/{name}", 0.0)
        if int(count * share) > int((count - 1) * share):
            status, given, answer = 500, {}, b'{"message": "a fault of the emulator"}'
        else:
            status, given, answer = self._ask(deployment.port, body, headers)
        ms = (time.monotonic() - begun) * 1000
        with self._lock:
            self.seen.append((name, status, ms, time.time()))
        return status, {**given, "azureml-model-deployment": name}, answer

    def _drawn(self) -> str | None:
        names = [name for name, share in self.traffic.items() if share]
        return random.choices(names, [self.traffic[n] for n in names])[0] if names else None

    def _ask(self, port: int, body: bytes, headers: dict) -> tuple[int, dict, bytes]:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            kind = headers.get("content-type") or "application/json"
            link.request("POST", "/invocations", body, {"Content-Type": kind})
            answer = link.getresponse()
            content = answer.read()
            shown = {k: v for k, v in answer.getheaders() if k.lower().startswith("x-model-")}
            kind = answer.getheader("content-type")
            return answer.status, {**shown, **({"Content-Type": kind} if kind else {})}, content  # noqa: TRY300
        except (OSError, http.client.HTTPException):
            pass
        finally:
            link.close()
        return 502, {}, b'{"message": "the container does not answer"}'

    def points(self, metric: str, name: str, period_s: float, span: tuple, known_until: float):
        """Series of a metric by status class: {class: {start of the period: value}}."""
        with self._lock:
            seen = list(self.seen)
        bins: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
        for deployment, status, ms, when in seen:
            start = when // period_s * period_s
            if deployment == name and span[0] <= start < span[1] and when <= known_until:
                bins[f"{status // 100}xx"][start].append(ms)
        if metric == "RequestsPerMinute":
            return {k: {at: float(len(v)) for at, v in one.items()} for k, one in bins.items()}
        merged: dict[float, list[float]] = defaultdict(list)
        for one in bins.values():
            for at, values in one.items():
                merged[at] += values
        return {"": {at: sorted(v)[max(0, -(-len(v) * 99 // 100) - 1)] for at, v in merged.items()}}
