"""Vertex AI for the contract suites: one class a suite."""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.vertex.parts import VertexParts
from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.ports.platform import PlatformOrder
from ml_pipeline.ports.registry import ModelVersion
from tests.emulators.project_image import older_code
from tests.emulators.vertex import VertexEmulator
from tests.fakes.platforms import BODY, STAND_IN, eventually, fill


class PeriodClock(HostClock):
    """A clock whose times are ends of the metrics' periods: it waits for the next one."""

    def __init__(self, period_s: float) -> None:
        super().__init__()
        self.period_s = period_s

    def now(self) -> datetime:
        edge = math.ceil(super().now().timestamp() / self.period_s) * self.period_s
        while super().now().timestamp() <= edge:
            threading.Event().wait(0.01)
        return datetime.fromtimestamp(edge, UTC)


def parts_of(emulator: VertexEmulator, folder: Path, model: str = "m", **more: Any) -> VertexParts:
    """The adapters as a machine makes them that has not seen the platform before."""
    policy = VertexPolicy.model_validate(emulator.settings(**more))
    order = PlatformOrder(
        model=model, state=folder / "state", clock=HostClock(20), environ={}, trusted_types=()
    )
    made = VertexParts(order=order, policy=policy)
    emulator.users.append(made)
    return made


def emulator_in(folder: Path, **options: Any) -> VertexEmulator:
    """A started emulator with a bucket."""
    made = VertexEmulator(folder / "emulator", **options)
    made.bucket("emulated")
    made.start()
    return made


class VertexStore:
    """For test_artifact_store: a store, given a folder."""

    def __init__(self, folder: Path) -> None:
        self.emulator = emulator_in(folder)
        store = parts_of(self.emulator, folder).artifacts
        self.put, self.fetch = store.put, store.fetch

    def clean(self) -> None:
        self.emulator.stop()


class VertexRegistryCase:
    """For test_model_registry."""

    def __init__(self, folder: Path, _template: Any = None) -> None:
        self.folder = folder
        self.emulator = emulator_in(folder, latency_s=0.02)

    def registry(self) -> Any:
        return parts_of(self.emulator, self.folder).registry

    def break_it(self) -> None:
        for method in ("GetModel", "ListModelVersions"):
            self.emulator.faults.add(method, code="UNAVAILABLE", times=100, retry_after_s=0.01)

    def bundle_of(self, version: ModelVersion) -> Path:
        model = self.emulator.models.version(version.uri)
        return (self.emulator.store / model.artifact_uri.removeprefix("gs://")).parent

    def clean(self) -> None:
        self.emulator.stop()


class VertexWorld:
    """For test_serving_ports: the emulator with stand-in model servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.emulator: VertexEmulator | None = None
        self.clock: HostClock = HostClock()
        self.versions: dict[str, tuple[ModelVersion, Path]] = {}
        self.parts = self._parts()

    def _parts(self) -> VertexParts:
        # nobody listens on these until `up`
        policy = VertexPolicy(
            project="emulated-project", bucket="emulated", image="shop:1",
            emulator_url="http://127.0.0.1:9", emulator_grpc="127.0.0.1:9",
        )  # fmt: skip
        order = PlatformOrder(
            model="m", state=self.folder, clock=HostClock(20), environ={}, trusted_types=()
        )
        return VertexParts(order=order, policy=policy)

    def up(self) -> None:
        self.emulator = emulator_in(self.folder, server=STAND_IN, latency_s=0.1)
        self.clock = PeriodClock(self.emulator.metrics.period_s)
        self.parts = parts_of(self.emulator, self.folder)

    def down(self) -> None:
        if self.emulator is not None:
            self.emulator.stop()

    @property
    def staging(self) -> Any:
        return self.parts.staging_host

    @property
    def production(self) -> Any:
        return self.parts.production_host

    @property
    def router(self) -> Any:
        return self.parts.router

    @property
    def traffic(self) -> Any:
        return self.parts.traffic

    def another_router(self) -> Any:
        assert self.emulator is not None
        return parts_of(self.emulator, self.folder).router

    def host(self, endpoint: str) -> Any:
        return {"staging": self.staging, "production": self.production}[endpoint]

    def version(self, name: str, **behaviour: Any) -> tuple[ModelVersion, Path]:
        """A registered version of that name, and its package; `behaviour` as in `model_server`."""
        if name not in self.versions:
            assert self.emulator is not None
            bundle = self.folder / f"bundle-{name}"
            fill(bundle / "package", behaviour)
            self.emulator.models.next_version_id = name
            made = self.parts.registry.register("m", bundle, run_id=name, metrics={}, tags={})
            self.versions[name] = (made, bundle / "package")
        return self.versions[name]

    def deploy(self, slot: str, *, chaos: str = "", host: str = "production", **behaviour) -> None:
        """Have a version of its own in a slot, and wait until it answers.

        The platform has no drills: what goes wrong is put into the emulator.
        """
        assert self.emulator is not None
        version, package = self.version(f"of-{slot}", **behaviour)
        self.emulator.faults.chaos[slot] = chaos
        self.host(host).deploy(slot, version, package)
        eventually(lambda: self.host(host).health(slot))

    def send(self, count: int = 1, **more: Any) -> list[httpx.Response]:
        """Requests of users, one after another."""
        target = self.router.endpoint()
        with httpx.Client(trust_env=False, timeout=60) as client:
            return [
                client.post(target.url, **{"json": BODY, "headers": target.headers, **more})
                for _ in range(count)
            ]


#: What a training of the contract runs, in its image.
IMAGE = "shop:1"


class VertexTrainingCase:
    """For test_training_platform; it brings source, data and behaviours of its own suite."""

    emulator: VertexEmulator
    folder: Path

    def __init__(self, folder: Path) -> None:
        from tests.contract.test_training_platform import LocalCase

        self._local = LocalCase(folder)
        self.emulator = emulator_in(folder, images={IMAGE: older_code(folder)}, latency_s=0.05)
        self.folder = folder
        self.request = self._local.request
        self.ended = self._local.ended

    def platform(self) -> Any:
        return parts_of(self.emulator, self.folder, model="shop").training

    def clean(self) -> None:
        self.emulator.stop()


@contextmanager
def serving(folder: Path, *slots: str) -> Iterator[VertexWorld]:
    """A world with these slots in production: the n-th predicts n, the first has all traffic."""
    made = VertexWorld(folder)
    made.up()
    for number, slot in enumerate(slots, 1):
        made.deploy(slot, predicts=float(number))
    made.router.set_weights({slots[0]: 100})
    yield made
    made.down()
