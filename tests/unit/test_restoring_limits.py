"""How long a champion that is deployed again may take, on a platform that needs minutes."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local.evidence import LocalRuns, append_journal
from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.ports.registry import CHAMPION, REPLACED, ModelVersion
from ml_pipeline.session import recovery
from ml_pipeline.settings import Platform
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry
from tests.fakes.serving import FakeHost, FakeRouter, Served
from tests.fakes.training import FakeTraining

#: What a cloud takes for one deployment, in seconds.
TAKES_S = 900


@dataclass
class SlowHost(FakeHost):
    """A host whose deployments answer after `TAKES_S`."""

    begun: dict[str, float] = field(default_factory=dict)

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        self.begun.setdefault(slot, self.clock.monotonic())
        super().deploy(slot, version, package, chaos=chaos)

    def health(self, slot: str) -> bool:
        there = super().health(slot)
        return there and self.clock.monotonic() - self.begun.get(slot, 0) >= TAKES_S


def session(folder: Path, limit_s: float) -> SimpleNamespace:
    """Version 2 is champion, version 1 served before; neither is deployed any more."""
    clock, served = FakeClock(), Served()
    registry = FakeRegistry(folder / "registry", clock)
    for name in ("old", "new"):
        bundle = folder / name
        bundle.mkdir()
        (bundle / "model").write_text(name)
        registry.register("m", bundle, run_id=name, metrics={}, tags={})
    registry.set_alias("m", CHAMPION, "2")
    registry.tag("m", "2", {REPLACED: "1"})
    wiring = SimpleNamespace(
        project="m",
        runs=LocalRuns(folder / "runs", clock),
        registry=registry,
        training=FakeTraining(clock),
        router=FakeRouter(served),
        production_host=SlowHost(served, "production", clock),
        staging_host=FakeHost(served, "staging", clock),
        bundles=SimpleNamespace(folder=lambda _version: folder),
    )
    return SimpleNamespace(
        wiring=wiring,
        settings=SimpleNamespace(
            model="m",
            platform=Platform.SAGEMAKER,
            staging=SimpleNamespace(health_time_limit_s=limit_s),
        ),
        clock=clock,
        new_run_id=lambda: "now",
    )


def test_a_rollback_waits_as_long_as_the_settings_allow(tmp_path: Path) -> None:
    made = session(tmp_path, 1800)
    recovery.roll_back(made, "worse")  # type: ignore[arg-type]
    assert made.wiring.router.weights() == {"v1": 100}


def test_an_abort_waits_as_long_as_the_settings_allow(tmp_path: Path) -> None:
    made = session(tmp_path, 1800)
    append_journal(made.wiring.runs.create("r1"), made.clock, "rollout-started")
    assert "all traffic goes to v2" in recovery.abort(made, "r1")  # type: ignore[arg-type]


def test_a_rollback_waits_no_longer_than_the_settings_allow(tmp_path: Path) -> None:
    made = session(tmp_path, 600)
    with pytest.raises(PlatformRefusedError, match="within 600 s"):
        recovery.roll_back(made, "worse")  # type: ignore[arg-type]
    assert made.wiring.router.weights() == {}


def test_abort_leaves_what_a_rollback_would_return_to(tmp_path):
    it = session(tmp_path, limit_s=2000)
    append_journal(it.wiring.runs.create("r1"), it.clock, "run-started")
    served, versions = it.wiring.router.served, it.wiring.registry.versions("m")
    one, two = sorted(versions, key=lambda found: found.version)
    served.slots |= {("production", "v1"): one, ("production", "v2"): two}
    served.slots["production", "v3"] = two.__class__(**{**asdict(two), "version": "3"})
    served.weights = {"v2": 100}
    told = recovery.abort(it, "r1")
    assert "v3 is removed" in told
    assert sorted(slot for _, slot in served.slots) == ["v1", "v2"]
