"""Platforms to serve on, as tests need them: one class a platform, all alike."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.host import LocalHost
from ml_pipeline.adapters.local.router import LocalRouter
from ml_pipeline.adapters.local.traffic import LocalTraffic
from ml_pipeline.domain.errors import BusyError
from ml_pipeline.localplatform import control
from ml_pipeline.ports.registry import ModelVersion
from tests.fakes import processes
from tests.fakes.packages import text_package

STAND_IN = str(Path(__file__).with_name("model_server.py"))
BODY = {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}


def eventually(look: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """What `look` gives once it gives something true."""
    found: list[Any] = []

    def seen() -> bool:
        found.append(look())
        return bool(found[-1])

    assert processes.eventually(seen, within_s), f"not within {within_s} s: {found[-1]!r}"
    return found[-1]


def taken_over(router: Any, run_id: str, *, fallback: Mapping[str, int]) -> bool:
    """Whether a run may have the traffic; not as long as another's lease lasts."""
    try:
        router.hold(run_id, fallback=fallback, lease_s=60)
    except BusyError:
        return False
    return True


def fill(package: Path, behaviour: Mapping[str, Any]) -> Path:
    """The package again, with a stand-in's behaviour, or with the model named under `model`."""
    if behaviour.get("model") == "text":
        text_package(package)
    else:
        package.mkdir(parents=True, exist_ok=True)
        (package / "model.json").write_text(json.dumps({"predicts": 1.0, **behaviour}))
    return package


class LocalWorld:
    """The embedded platform on a folder of its own, with stand-in model servers.

    Args:
        folder: gets state and packages.
        options: how the platform is started.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.options = control.UpOptions(**{"server": STAND_IN, **options})
        self.clock = HostClock()
        self.staging = LocalHost(self.state, endpoint="staging", clock=self.clock)
        self.production = LocalHost(self.state, endpoint="production", clock=self.clock)
        self.router = LocalRouter(self.state, clock=self.clock)
        self.traffic = LocalTraffic(self.state, clock=self.clock)

    def up(self, **more: Any) -> control.PlatformInfo:
        self.info = control.up(self.state, options=self.options, **more)
        return self.info

    def down(self) -> None:
        control.down(self.state)

    def another_router(self) -> LocalRouter:
        return LocalRouter(self.state, clock=self.clock)

    def version(self, name: str, **behaviour: Any) -> tuple[ModelVersion, Path]:
        """A version and its package; `behaviour` as in `model_server`."""
        package = fill(self.folder / f"package-{name}", behaviour)
        version = ModelVersion(
            model="m",
            version=name,
            uri=str(package),
            digest="0" * 64,
            run_id="r",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return version, package

    def deploy(self, slot: str, *, chaos: str = "", host: str = "production", **behaviour) -> None:
        """Have a version of its own in a slot, and wait until it answers."""
        version, package = self.version(f"of-{slot}", **behaviour)
        self.host(host).deploy(slot, version, package, chaos=chaos)
        eventually(lambda: self.host(host).health(slot))

    def host(self, endpoint: str) -> LocalHost:
        return {"staging": self.staging, "production": self.production}[endpoint]

    def send(self, count: int = 1, **more: Any) -> list[httpx.Response]:
        """Requests of users, one after another."""
        url = self.router.endpoint().url
        with httpx.Client(trust_env=False, timeout=60) as client:
            return [client.post(url, **{"json": BODY, **more}) for _ in range(count)]

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = self.admin("GET", "/v1/events").json()
        return [one for one in found if one["kind"] == kind]

    def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A call of the admin API with the right token."""
        known = json.loads((self.state / "platform" / "platform.json").read_text())
        token = (self.state / "platform" / "token").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.request(method, known["admin_url"] + path, headers=headers, **more)

    def pid(self, name: str) -> int | None:
        info = control.status(self.state)
        return None if info is None else info.pids.get(name)
