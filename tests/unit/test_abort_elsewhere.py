"""`abort` on a machine that has no evidence of the run: a cloud says what the run left there."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local.evidence import LocalRuns, read_journal
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.release import StagingPolicy
from ml_pipeline.ports.registry import CHAMPION
from ml_pipeline.ports.training import JobState
from ml_pipeline.session import recovery
from ml_pipeline.settings import Platform
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry
from tests.fakes.serving import FakeHost, FakeRouter, Served
from tests.fakes.training import FakeJob, FakeTraining


class Cloud:
    """Champion 1 with 10 % taken from it by a run whose pipeline is dead, and its job running.

    Args:
        folder: this machine's.
        platform: what the settings say it is.
    """

    def __init__(self, folder: Path, platform: Platform = Platform.VERTEX) -> None:
        self.clock = FakeClock()
        self.project = "m"
        self.runs = LocalRuns(folder / "runs", self.clock)
        self.registry = FakeRegistry(folder / "registry", self.clock)
        self.served = Served(weights={"v1": 90, "v2": 10}, holder="dead")
        self.production_host = FakeHost(self.served, "production", self.clock)
        self.staging_host = FakeHost(self.served, "staging", self.clock)
        self.router = FakeRouter(self.served)
        self.bundles = SimpleNamespace(folder=lambda version: folder / "bundle")
        self.training = FakeTraining(self.clock)
        request = SimpleNamespace(project="m", run_id="dead", attempt=1)
        job = FakeJob(request, self.clock.now())  # type: ignore[arg-type]
        self.training.jobs["m/dead/1"] = job
        self.job = job
        bundle = folder / "bundle"
        bundle.mkdir()
        (bundle / "model").write_text("x")
        for number in ("1", "2"):
            version = self.registry.register("m", bundle, run_id=number, metrics={}, tags={})
            self.served.slots["production", f"v{number}"] = version
        self.registry.set_alias("m", CHAMPION, "1")
        self.session = SimpleNamespace(
            wiring=self,
            settings=SimpleNamespace(model="m", platform=platform, staging=StagingPolicy()),
            clock=self.clock,
        )

    def abort(self, run_id: str | None) -> list[str]:
        return recovery.abort(self.session, run_id)  # type: ignore[arg-type]


@pytest.mark.parametrize("named", [None, "dead"])
def test_traffic_and_job_of_a_dead_run_are_put_right_from_anywhere(tmp_path, named):
    cloud = Cloud(tmp_path)
    done = cloud.abort(named)
    assert "training job m/dead/1 is cancelled" in done
    assert "the lease of run dead is ended" in done
    assert cloud.served.weights == {"v1": 100}
    assert cloud.job.state is JobState.CANCELLED
    events = [line["event"] for line in read_journal(cloud.runs.folder("dead"))]
    assert events == ["aborting", "run-aborted"]


def test_a_training_alone_names_its_run(tmp_path):
    cloud = Cloud(tmp_path)
    cloud.served.weights, cloud.served.holder = {"v1": 100}, None
    assert "training job m/dead/1 is cancelled" in cloud.abort(None)


@pytest.mark.parametrize("platform", [Platform.VERTEX, Platform.LOCAL])
def test_a_run_nobody_knows_is_refused_and_nothing_is_moved(tmp_path, platform):
    cloud = Cloud(tmp_path, platform)
    with pytest.raises(ConfigurationError, match="there is no run 'deed'"):
        cloud.abort("deed")
    assert cloud.served.weights == {"v1": 90, "v2": 10}
    assert not cloud.runs.root.exists()
