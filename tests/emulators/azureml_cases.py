"""Azure ML as the contract suites need it, on an emulated workspace."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ml_pipeline.adapters.azureml.client import Workspace
from ml_pipeline.adapters.azureml.parts import AzuremlParts
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.ports.platform import PlatformOrder
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.training import TrainingRequest
from tests.emulators.azureml import CONTAINER, SUBSCRIPTION, AzuremlEmulator, Image
from tests.emulators.project_image import older_code
from tests.fakes.platforms import BODY, STAND_IN, eventually, fill
from tests.fakes.processes import eventually as seen
from tests.fakes.projects import write_files

#: The emulated metrics' grain: long enough for a loaded machine to fall into the right one.
PERIOD_S = 0.5


@contextmanager
def workspace(folder: Path, **more) -> Iterator[AzuremlEmulator]:
    """An emulated workspace whose identity this process has."""
    image = Image(
        source=more.pop("source", folder),
        project_env=Path(sys.prefix),
        server=more.pop("server", None),
    )
    more = {"latency_s": 0.02, **more}
    with pytest.MonkeyPatch.context() as patch:
        emulator = AzuremlEmulator(folder / "azure", image, **more).start()
        # the SDK writes the cloud's name here; set first, so that it is taken away again
        patch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
        for key, value in emulator.environment().items():
            patch.setenv(key, value)
        try:
            yield emulator
        finally:
            emulator.stop()
    assert emulator.violations == []


def parts_of(emulator: AzuremlEmulator, *, model: str = "m", clock=None, **policy) -> AzuremlParts:
    """The adapters, as a machine has them that has not seen the workspace before."""
    made = AzuremlParts(
        order=PlatformOrder(
            model=model, state=emulator.root / "state", clock=clock or HostClock(), environ={}
        ),
        policy=AzuremlPolicy(**emulator.settings(**policy)),
    )
    emulator.users.append(made)
    return made


class _Case:
    """One emulated workspace a test."""

    def __init__(self, folder: Path, **more) -> None:
        self.folder = folder
        self._open = workspace(folder, **more)
        self.emulator = self._open.__enter__()

    def parts(self, **more) -> AzuremlParts:
        return parts_of(self.emulator, **more)

    def clean(self) -> None:
        self._open.__exit__(None, None, None)


class AzuremlTrainingCase(_Case):
    """Trainings with a known end, run by the image's own entry program."""

    def __init__(self, folder: Path) -> None:
        from tests.contract.test_training_platform import SCRIPT

        self.source = write_files(folder / "p", {"t.py": SCRIPT})
        self.data = write_files(folder, {"rows.csv": "a,b\n1,2\n"}) / "rows.csv"
        super().__init__(folder, source=older_code(folder))

    def platform(self):
        return self.parts().training

    def request(
        self, *, run_id="run-1", attempt=1, behaviour="succeed", metrics='{"mae": 4.5, "rows": 100}'
    ) -> TrainingRequest:
        return TrainingRequest(
            project="shop",
            run_id=run_id,
            attempt=attempt,
            source=self.source,
            data=self.data,
            argv=("python", "t.py", "{data}", "{output}", behaviour, metrics),
            artifact="model.skops",
            metrics="metrics.json",
            time_limit_s=300,
        )

    def ended(self, platform, job):
        assert seen(lambda: platform.state(job).final)
        return platform.state(job)


class AzuremlRegistryCase(_Case):
    def __init__(self, folder: Path, _template: Path | None = None) -> None:
        super().__init__(folder)

    def registry(self):
        return self.parts().registry

    def break_it(self) -> None:
        # without a Retry-After the adapter's own pauses would be waited for
        self.emulator.fault("GET .*/models/", 503, 1000, headers={"Retry-After": "0"})

    def bundle_of(self, version) -> Path:
        place = version.uri.rsplit("/paths/", 1)[1]
        return self.emulator.blobs.folder(CONTAINER) / place


class AzuremlStore:
    """An artifact store that ends with its test; made in place of `LocalArtifacts(folder)`."""

    def __init__(self, folder: Path) -> None:
        self._case = _Case(folder)
        self._store = self._case.parts().artifacts
        self.put, self.fetch = self._store.put, self._store.fetch

    def clean(self) -> None:
        self._case.clean()


class _EdgeClock(HostClock):
    """Tells the time at edges of the metrics' grain: Azure knows no times in between."""

    def now(self) -> datetime:
        begun = time.time()
        edge = (begun // PERIOD_S + 1) * PERIOD_S
        while (left := edge - time.time()) > 0:
            time.sleep(left)
        return datetime.fromtimestamp(edge, UTC)


class AzuremlWorld:
    """Serving, with stand-in model servers in the image."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = _EdgeClock()
        # nobody listens there until `up`
        policy = AzuremlPolicy(
            subscription=SUBSCRIPTION, resource_group="rg", workspace="nowhere", image="shop:1",
            endpoint_url="https://127.0.0.1:9",
        )  # fmt: skip
        order = PlatformOrder(model="m", state=folder, clock=self.clock, environ={})
        self._take(AzuremlParts(order=order, policy=policy))
        vars(self.parts)["_workspace"] = Workspace(policy, self.clock, {}, backoff_factor=0.01)

    def _take(self, parts: AzuremlParts) -> None:
        self.parts = parts
        self.staging, self.production = parts.staging_host, parts.production_host
        self.router, self.traffic = parts.router, parts.traffic

    def up(self) -> None:
        self._open = workspace(
            self.folder, server=Path(STAND_IN), period_s=PERIOD_S, late_s=0.1, latency_s=0.02
        )
        self.emulator = self._open.__enter__()
        self._take(parts_of(self.emulator, metrics_delay_s=0.3))

    def down(self) -> None:
        self._open.__exit__(None, None, None)

    def another_router(self):
        return parts_of(self.emulator).router

    def version(self, name: str, **behaviour) -> tuple[ModelVersion, Path]:
        """A version and its package, registered as a model of the workspace."""
        package = self.folder / f"bundle-{name}"
        fill(package / "package", behaviour)
        key = f"models/m/{name}"
        uri = self.parts.artifacts.upload(package, key)
        from ml_pipeline.adapters.azureml import sdk

        made = sdk.Model(name="m", version=name, path=uri, type="custom_model")
        self.parts._workspace.ask("test", lambda ml: ml.models.create_or_update(made))
        version = ModelVersion(
            model="m",
            version=name,
            uri=uri,
            digest="0" * 64,
            run_id="r",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return version, package / "package"

    def deploy(self, slot: str, *, chaos: str = "", host: str = "production", **behaviour) -> None:
        version, package = self.version(f"of-{slot}", **behaviour)
        self.host(host).deploy(slot, version, package, chaos=chaos)
        eventually(lambda: self.host(host).health(slot))

    def host(self, endpoint: str):
        return {"staging": self.staging, "production": self.production}[endpoint]

    def send(self, count: int = 1, **more) -> list[httpx.Response]:
        """Requests of users, one after another; with headers as the embedded router names them."""
        url = self.router.endpoint().url
        with httpx.Client(trust_env=False, timeout=60) as client:
            answers = [client.post(url, **{"json": BODY, **more}) for _ in range(count)]
        for answer in answers:
            slot = answer.headers["azureml-model-deployment"].removeprefix("slot-")
            answer.headers["X-Model-Slot"] = slot
            named = {one.slot: one.version for one in self._listed()}
            answer.headers.setdefault("X-Model-Version", named.get(slot, ""))
        return answers

    def _listed(self):
        if not hasattr(self, "_known") or time.monotonic() > self._known[0]:
            self._known = (time.monotonic() + 1, self.production.list())
        return self._known[1]
