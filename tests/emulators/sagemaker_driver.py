"""Tests' side of the SageMaker emulator: started once a worker, and the ports on it."""

import atexit
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.adapters.sagemaker.parts import SageMakerParts
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.platform import PlatformOrder
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.training import TrainingRequest
from tests.fakes.platforms import BODY, STAND_IN, eventually, fill
from tests.fakes.projects import PLAIN, write_files

PROGRAM = Path(__file__).with_name("sagemaker.py")
BUCKET = "shop-models"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAEMULATED0000TEST",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-emulator",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Emulated:
    """One emulator process."""

    def __init__(self, *options: str) -> None:
        self._place = tempfile.TemporaryDirectory()
        ready = Path(self._place.name) / "ready.json"
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), f"--ready-file={ready}", "--exit-with-parent", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(log := (Path(self._place.name) / "log.txt").open("wb")),
        )
        log.close()
        atexit.register(self.end)
        eventually(lambda: ready.exists() or self._process.poll() is not None, within_s=120)
        assert ready.exists(), (Path(self._place.name) / "log.txt").read_text()
        self.url = json.loads(ready.read_text())["url"]
        self._http = httpx.Client(trust_env=False, timeout=60)
        #: doors that were opened to it
        self.users: list[Any] = []

    def end(self) -> None:
        if self._process.poll() is None:
            self._let_go()
            _clients_on(self.url).close()
            self._process.terminate()
            self._process.wait(60)
            self._process.stdin.close()
            self._http.close()
            self._place.cleanup()

    def ask(self, path: str, content: object = None) -> dict[str, Any]:
        answer = self._http.post(f"{self.url}/_emulator/{path}", json=content)
        answer.raise_for_status()
        return answer.json()

    def told(self) -> dict[str, Any]:
        return self.ask("told", {})

    def faults(self, *faults: Mapping[str, object]) -> None:
        """The next calls, jobs and changes go wrong like this."""
        self.ask("faults", list(faults))

    def _let_go(self) -> None:
        while self.users:
            self.users.pop().close()

    def fresh(self, **settings: object) -> "Emulated":
        """An account nobody has used, with a bucket."""
        self._let_go()
        self.ask("reset")
        self.ask(
            "settings",
            {"delay_s": 0.1, "publish_s": 0.3, "server": "", "framework_env": "", **settings},
        )
        parts_on(self.url)._clients.call("s3", "create_bucket", Bucket=BUCKET)
        return self


@cache
def emulated() -> Emulated:
    """The worker's emulator, started when it is first needed."""
    return Emulated()


def parts_on(url: str, folder: Path = Path("unused"), **more: Any) -> SageMakerParts:
    """The adapters as a machine makes them that has not seen the account before."""
    model = more.pop("model", "m")
    clock = more.pop("clock", None) or HostClock()
    policy = SageMakerPolicy(
        region="us-east-1",
        role="arn:aws:iam::123456789012:role/pipeline",
        bucket=BUCKET,
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256:" + "0" * 64,
        endpoint_url=url,
        **{"metrics_period_s": 1, "metrics_delay_s": 1.0, "baking_s": 1, **more},
    )
    order = PlatformOrder(model=model, state=folder, clock=clock, environ={})
    parts = SageMakerParts(order=order, policy=policy)
    # They know nothing of an account, and reading AWS's model takes a second each time.
    vars(parts)["_clients"] = _clients_on(url)
    emulated().users.append(parts._proxy)
    return parts


class _Known(Clients):
    """Clients with the emulator's credentials, which the SDK would look for in the environment."""

    @cached_property
    def session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        )


@cache
def _clients_on(url: str) -> Clients:
    return _Known(SageMakerPolicy(region="us-east-1", endpoint_url=url), _Hasty())


class _Hasty(HostClock):
    """Waits between two tries are a wish; how long they would be is tested elsewhere."""

    def wait_to_retry(self, seconds: float, *, cleaning_up: bool) -> None:
        super().wait_to_retry(min(seconds, 0.05), cleaning_up=cleaning_up)


def sagemaker_training(folder: Path, **policy: Any) -> object:
    """`Case` of the contract of training platforms; `policy` are keys of `[sagemaker]`."""
    from tests.contract import test_training_platform as contract

    class SageMakerCase(contract.Case):
        def __init__(self) -> None:
            self.emulator = emulated().fresh()
            self.source = write_files(
                folder / "p", {"pyproject.toml": PLAIN, "t.py": contract.SCRIPT}
            )
            self.data = write_files(folder, {"rows.csv": "a,b\n1,2\n"}) / "rows.csv"

        def platform(self):
            return parts_on(self.emulator.url, **policy).training

        def request(
            self, *, run_id="run-1", attempt=1, behaviour="succeed", metrics=contract.GOOD
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
                labels={"run-id": run_id},
            )

        def clean(self) -> None:
            for job in self.platform().running("shop"):
                self.platform().cancel(job.ref)
            assert self.emulator.told()["violations"] == []

    return SageMakerCase()


def sagemaker_artifacts(_folder: Path) -> object:
    """The store for the contract of artifact stores."""
    return parts_on(emulated().fresh().url).artifacts


class _InBucket:
    """A file in the bucket that a test changes."""

    def __init__(self, url: str, uri: str) -> None:
        self.url, self.uri = url, uri

    def __truediv__(self, name: str) -> "_InBucket":
        return _InBucket(self.url, f"{self.uri}/{name}")

    def write_text(self, text: str) -> None:
        bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        put = {"Bucket": bucket, "Key": key, "Body": text.encode()}
        parts_on(self.url)._clients.call("s3", "put_object", **put)


class SageMakerRegistryCase:
    """A registry for the contract of model registries."""

    def __init__(self, _folder: Path, _template: Path) -> None:
        self.emulator = emulated().fresh()

    def registry(self):
        return parts_on(self.emulator.url).registry

    def break_it(self) -> None:
        self.emulator.faults({"kind": "500", "times": 100})

    def bundle_of(self, version) -> _InBucket:
        return _InBucket(self.emulator.url, version.uri)


class _WholeSeconds(HostClock):
    """Tells only times at which one of CloudWatch's periods ends."""

    def now(self) -> datetime:
        begun = int(time.time())
        eventually(lambda: time.time() > begun + 1)
        return datetime.fromtimestamp(begun + 1, UTC)


class SageMakerWorld:
    """A platform for the contract of serving, with stand-in model servers."""

    def __init__(self, folder: Path, url: str = "http://127.0.0.1:1") -> None:
        self.folder, self.url = folder, url
        self.clock = _WholeSeconds()
        self._take(parts_on(url, folder))

    def _take(self, parts: SageMakerParts) -> None:
        self.parts = parts
        self.staging, self.production = parts.staging_host, parts.production_host
        self.router, self.traffic = parts.router, parts.traffic

    def up(self) -> None:
        self.emulator = emulated().fresh(server=STAND_IN)
        self.url = self.emulator.url
        self._take(parts_on(self.url, self.folder))

    def down(self) -> None:
        assert self.emulator.told()["violations"] == []
        self.emulator.fresh()

    def another_router(self):
        return parts_on(self.url, self.folder).router

    def version(self, name: str, **behaviour: Any) -> tuple[ModelVersion, Path]:
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
        """Have a version in a slot; a drill is the container's own, no platform has any."""
        self.emulator.ask("drills", {slot: chaos})
        version, package = self.version(f"of-{slot}", **behaviour)
        where = {"staging": self.staging, "production": self.production}[host]
        where.deploy(slot, version, package)
        eventually(lambda: where.health(slot))

    def send(self, count: int = 1, **more: Any) -> list[httpx.Response]:
        url = self.router.endpoint().url
        with httpx.Client(trust_env=False, timeout=60) as client:
            return [client.post(url, **{"json": BODY, **more}) for _ in range(count)]
