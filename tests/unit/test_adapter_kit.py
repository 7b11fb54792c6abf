"""The published contract of adapters: it holds where it should, and every check can go red."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest

from ml_pipeline.adapterkit.bench import Bench, Red
from ml_pipeline.adapterkit.kit import CHECKS, GROUPS, clear, run
from ml_pipeline.domain.errors import (
    InterruptedRunError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.ports.platform import Standing
from ml_pipeline.ports.training import JobState
from tests.fakes.artifacts import FakeArtifacts
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry
from tests.fakes.serving import FakeHost, FakeRouter, FakeTraffic, Served
from tests.fakes.toy_project import toy
from tests.fakes.training import FakeJob, FakeTraining


@dataclass
class FakeCloud:
    """A platform in memory; `machine()` are the adapters of one more machine."""

    folder: Path

    def __post_init__(self):
        self.clock = FakeClock()
        self.jobs: dict[str, FakeJob] = {}
        self.served = Served()
        self.artifacts = FakeArtifacts(self.folder / "artifacts")
        self.registry = FakeRegistry(self.folder / "registry", self.clock)
        self.sabotage = lambda parts: None
        self.left = []

    def machine(self):
        parts = FakeParts(self)
        self.sabotage(parts)
        return parts

    def behave(self, job: FakeJob) -> None:
        behaviour, metrics = job.request.argv[-2:]
        job.failure = "the training says why" if behaviour == "fail" else ""
        states = {"hang": JobState.RUNNING, "fail": JobState.FAILED}
        job.state = states.get(behaviour, JobState.SUCCEEDED)
        job.metrics, job.model_uri = metrics, job.request.data.as_uri()


@dataclass
class FakeParts:
    cloud: FakeCloud

    @cached_property
    def training(self):
        return FakeTraining(self.cloud.clock, behave=self.cloud.behave, jobs=self.cloud.jobs)

    @cached_property
    def artifacts(self):
        return self.cloud.artifacts

    @cached_property
    def registry(self):
        # one more view of the same registry, so that a sabotage of it stays this machine's
        return replace(self.cloud.registry)

    @cached_property
    def staging_host(self):
        return FakeHost(self.cloud.served, "staging", self.cloud.clock)

    @cached_property
    def production_host(self):
        return FakeHost(self.cloud.served, "production", self.cloud.clock)

    @cached_property
    def router(self):
        return FakeRouter(self.cloud.served)

    @cached_property
    def traffic(self):
        return FakeTraffic(self.cloud.served)

    @property
    def costs(self):
        return self

    def standing(self):
        return self.cloud.left

    def dismantle(self) -> None:
        self.cloud.served.dismantled = True


@pytest.fixture
def cloud(tmp_path):
    made = FakeCloud(tmp_path / "cloud")
    yield made
    if "server" in vars(made.served):
        made.served.server.close()


@pytest.fixture
def bench(cloud, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return Bench(
        fresh=cloud.machine, model="check-1", run_id="check-1", folder=folder, source=tmp_path,
        clock=cloud.clock, limit_s=600,
    )  # fmt: skip


def test_every_check_holds_on_a_platform_that_keeps_the_contract(bench):
    findings = list(run(bench, CHECKS))
    assert [one.check for one in findings] == list(CHECKS)
    assert {one.check.id: one.wrong for one in findings if one.wrong} == {}


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_every_check_stands_alone(bench, check):
    check.run(bench)


def no_error(*_args, **_more):
    """Says yes to everything."""


def returns(value):
    return lambda *_args, **_more: value


#: For every check one way to break the contract that it has to see.
SABOTAGES = {
    "artifacts/a-file-comes-back-with-its-digest": ("artifacts.fetch", "same"),
    "artifacts/nothing-there-is-an-error": ("artifacts.fetch", no_error),
    "registry/a-model-nobody-registered-has-no-champion": ("registry.champion", returns("one")),
    "registry/the-same-run-registers-a-bundle-once": ("registry.register", "anew"),
    "registry/a-version-keeps-what-it-was-registered-with": ("registry.versions", "rounded"),
    "registry/tags-are-added-and-others-stay": ("registry.tag", "wipes"),
    "registry/an-alias-is-at-one-version-only": ("registry.clear_alias", no_error),
    "registry/an-alias-for-no-version-is-refused": ("registry.set_alias", no_error),
    "registry/a-bundle-comes-back-as-it-was": ("registry.fetch", "unchecked"),
    "registry/the-champion-is-never-archived": ("registry.archive", no_error),
    "training/nobodys-run-has-no-job": ("training.find", returns("a job")),
    "training/the-same-key-is-the-same-job": ("training.submit", "anew"),
    "training/a-job-is-found-from-another-machine": ("training.find", returns(None)),
    "training/a-good-training-leaves-metrics-and-model": (
        "training.state",
        returns(JobState.FAILED),
    ),
    "training/a-failed-training-says-why": ("training.failure", returns("it failed")),
    "training/a-metric-that-is-no-number-is-no-result": ("training.result", no_error),
    "training/only-what-has-not-ended-is-running": ("training.cancel", no_error),
    "training/the-last-submission-is-known": ("training.last_submitted", returns(None)),
    "training/a-job-that-never-was-is-refused": ("training.state", returns(JobState.RUNNING)),
    "serving/staging-answers-and-goes": ("staging_host.remove", no_error),
    "serving/production-answers-through-the-router": ("production_host.predict", returns([0, 0])),
    "serving/a-second-deployment-gets-no-traffic": (
        "router.weights",
        returns({"c1": 50, "c2": 50}),
    ),
    "serving/weights-are-read-back-as-they-were-set": ("router.set_weights", no_error),
    "serving/wrong-weights-are-refused": ("router.set_weights", "unchecked"),
    "serving/one-run-moves-traffic-at-a-time": ("router.hold", "anybody"),
    "serving/every-request-is-counted-once": ("traffic.window", "lost"),
    "serving/a-slot-with-traffic-is-not-removed": ("production_host.remove", no_error),
}


def _same(port):
    real = port.fetch
    return lambda uri, target: real(uri, target) and target.name * 3


def _anew(port):
    real, numbers = (port.register if hasattr(port, "register") else port.submit), iter(range(99))
    if hasattr(port, "register"):
        return lambda *args, run_id, **more: real(*args, run_id=f"{run_id}{next(numbers)}", **more)
    return lambda request: real(replace(request, attempt=len(port.jobs) + 1))


def _rounded(port):
    real = port.versions
    return lambda model: [replace(one, metrics={"mae": 0.3}) for one in real(model)]


def _wipes(port):
    def tag(model, version, tags):
        found = port.known[model, version]
        port.known[model, version] = replace(found, tags=dict(tags))

    return tag


def _unchecked(port):
    if hasattr(port, "served"):
        return port.served.weights.update
    real = port.fetch
    return lambda version, target: real(port.known[version.model, version.version], target)


def _anybody(port):
    return lambda run_id, **_: setattr(port.served, "holder", run_id)


def _lost(port):
    real = port.window
    return lambda *args: replace(real(*args), requests=7)


NAMED = {
    "same": _same, "anew": _anew, "rounded": _rounded, "wipes": _wipes, "unchecked": _unchecked,
    "anybody": _anybody, "lost": _lost,
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_every_check_sees_a_platform_that_breaks_it(bench, cloud, check):
    dotted, broken = SABOTAGES[check.id]
    name, method = dotted.split(".")

    def sabotage(parts):
        port = getattr(parts, name)
        vars(port)[method] = NAMED[broken](port) if isinstance(broken, str) else broken

    cloud.sabotage = sabotage
    (finding,) = run(bench, [check])
    assert finding.wrong, f"{dotted} was broken, and nobody saw it"


def test_what_was_made_is_taken_away(bench, cloud):
    list(run(bench, CHECKS))
    bench.job("hang-on")
    cloud.jobs[f"check-1/{bench.run_id}-hang-on/1"].state = JobState.RUNNING
    assert clear(bench) == []
    assert all(job.state.final for job in cloud.jobs.values())
    assert cloud.served.dismantled
    assert not cloud.registry.versions("check-1")


def test_what_could_not_be_taken_away_is_said(bench, cloud):
    def unavailable():
        raise PlatformUnavailableError("503", remedy="Try again.")

    since = datetime(2026, 1, 1, 12, tzinfo=UTC)
    cloud.left = [Standing(kind="endpoint", name="check-1", since=since, what="1 x large")]
    bench.parts.dismantle = unavailable
    wrong, left = clear(bench)
    assert "503" in wrong
    assert left == "endpoint check-1 is left, since 12:00 UTC"


def test_a_bug_of_an_adapter_is_a_finding_and_the_next_check_runs(bench, cloud):
    def sabotage(parts):
        parts.training.find = lambda *_: int("no number")

    cloud.sabotage = sabotage
    found = {one.check.id: one.wrong for one in run(bench, CHECKS)}
    assert "ValueError" in found["training/nobodys-run-has-no-job"]
    assert not found["training/a-failed-training-says-why"]


def test_what_a_user_can_mend_is_told_with_how(bench, cloud):
    def refuse(*_):
        raise PlatformRefusedError("no right", remedy="Ask for it.")

    cloud.sabotage = lambda parts: vars(parts.training).update(find=refuse)
    found = {one.check.id: one.wrong for one in run(bench, CHECKS)}
    assert found["training/nobodys-run-has-no-job"] == "no right\nAsk for it."


def test_somebody_who_asks_to_stop_is_heard(bench, cloud):
    cloud.clock.stop("SIGINT")
    hang = [one for one in CHECKS if one.id.endswith("every-request-is-counted-once")]
    bench.parts.traffic.window = lambda *_: replace(
        FakeTraffic(cloud.served).window("c1", *[cloud.clock.now()] * 2, 1), requests=0
    )
    with pytest.raises(InterruptedRunError):
        list(run(bench, hang))


def test_patience_has_an_end(bench):
    with pytest.raises(Red, match="not within 600 s: it rains"):
        bench.until("it rains", returns(None))


def test_every_check_says_a_sentence_and_has_its_own_name():
    assert len({one.id for one in CHECKS}) == len(CHECKS)
    assert all(one.says.endswith(".") and "\n" not in one.says for one in CHECKS)
    assert GROUPS == ("artifacts", "registry", "training", "serving")
    assert set(SABOTAGES) == {one.id for one in CHECKS}


def test_a_cloud_is_left_alone_unless_somebody_says_live(tmp_path):
    project = toy(tmp_path / "toy")
    refused = project.run("adapter-check", "sagemaker")
    assert refused.code == 4
    assert "--live" in refused.output
    assert project.run("adapter-check", "mars").code == 4
    assert project.run("adapter-check", "local", "--only", "everything").code == 4


def test_the_embedded_platform_is_checked_without_touching_the_projects_own(tmp_path):
    project = toy(tmp_path / "toy")
    done = project.run("adapter-check", "local", "--only", "artifacts")
    assert done.code == 0, done.output
    assert "2 checks on local: all hold" in done.output
    assert not project.state.exists()
    assert not project.runs.exists()


def test_the_kits_own_training_is_one_any_image_can_run(bench):
    from ml_pipeline.ports.containers import COMMAND, variables_of
    from tests.fakes.containers import SageMaker

    told = variables_of(bench.request("succeed"))
    assert len(told[COMMAND]) <= 2500  # what SageMaker takes in one hyperparameter
    container = SageMaker(bench.folder / "job", told)
    ended = container.train()
    assert ended.code == 0, ended.err
    assert json.loads((container.output / "metrics.json").read_text()) == {"mae": 4.5, "rows": 100}
