"""A small project released on each cloud's emulator, and what its commands answer when it fails.

At the end of each cloud's tests its page is held against the rights they needed.
"""

import os
import signal
from pathlib import Path

import psutil
import pytest

from ml_pipeline.ports.training import JobState
from tests.emulators.clouds import CLOUDS
from tests.fakes.processes import eventually
from tests.fakes.toy_project import WORSE, configured, end, toy

#: One whole release a cloud runs always, the matrix of all stories on demand.
all_stories = pytest.mark.skipif(
    not os.environ.get("ML_PIPELINE_ALL_STORIES"),  # noqa: TID251 - asked for by hand
    reason="set ML_PIPELINE_ALL_STORIES=1: the other stories take minutes",
)
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
#: Three steps of a rollout, whose metrics come a second or two late.
QUICK = configured(
    ("min_requests = 30", "min_requests = 20\nsteps_pct = [25, 100]"),
    ("[gate]", "[staging]\nhealth_time_limit_s = 300\n\n[gate]"),
    # What an emulator in Python answers also while other tests want the machine.
    ("rate_per_s = 200", "rate_per_s = 80"),
)


class Released:
    """A project whose first model serves on a cloud.

    Args:
        cloud: where.
        folder: gets the project.
    """

    def __init__(self, make, folder: Path) -> None:
        self.toy = toy(folder / "toy", QUICK)
        self.cloud = make(folder, self.toy.folder)
        told = {f"{self.cloud.name}.{key}": value for key, value in self.cloud.settings.items()}
        pairs = [f"{key}={value}" for key, value in {"platform": self.cloud.name, **told}.items()]
        self.sets = [word for pair in pairs for word in ("--set", pair)]

    def run(self, *words: str):
        return self.toy.run(*words, *self.sets, **self.cloud.environ)

    def start(self, *words: str):
        return self.toy.start(*words, *self.sets, **self.cloud.environ)

    @property
    def parts(self):
        return self.cloud.parts("toy")

    def weights(self) -> dict[str, int]:
        return {slot: share for slot, share in self.parts.router.weights().items() if share}

    def champion(self) -> str:
        return self.parts.registry.champion("toy").version


@pytest.fixture(
    scope="module",
    params=sorted(CLOUDS),
)
def released(request, tmp_path_factory):
    made = Released(CLOUDS[request.param], tmp_path_factory.mktemp(request.param))
    first = made.run("full-pipeline", "--set", "hyperparameters.offset=-2")
    assert first.code == 0, first.output
    yield made
    asked, listed = made.cloud.rights()
    made.cloud.end()
    assert sorted(asked - listed) == []


def test_a_better_model_is_promoted_step_by_step(released):
    assert released.champion() == "1"
    better = released.run("full-pipeline", "--force")
    assert better.code == 0, better.output
    assert released.toy.record()["outcome"] == "promoted"
    assert (released.champion(), released.weights()) == ("2", {"v2": 100})
    parts = released.parts
    assert parts.router.rollout() is None
    assert list(parts.staging_host.list()) == []
    assert not parts.training.running("toy")


@all_stories
def test_a_worse_model_is_no_improvement(released):
    before = (released.champion(), released.weights())
    worse = released.run("full-pipeline", "--force", *WORSE)
    assert worse.code == 2, worse.output
    assert released.toy.record()["outcome"] == "no-improvement"
    assert (released.champion(), released.weights()) == before


@all_stories
def test_a_model_that_harms_is_rolled_back(released):
    before = (released.champion(), released.weights())
    number = int(max(released.parts.registry.versions("toy"), key=_number).version) + 1
    released.cloud.harm(f"v{number}")
    harmed = released.run("full-pipeline", "--force", "--set", "hyperparameters.offset=0.1")
    assert harmed.code == 9, harmed.output
    assert released.toy.record()["outcome"] == "rolled-back"
    assert (released.champion(), released.weights()) == before
    assert released.parts.router.rollout() is None


def test_status_says_what_the_endpoint_gives_to_whom(released):
    shown = released.run("status")
    assert shown.code == 0, shown.output
    every = released.parts.router.weights().items()
    shares = [f"{slot} {share} %" for slot, share in sorted(every, key=lambda it: (-it[1], it[0]))]
    assert f"traffic:  {', '.join(shares)}\n" in shown.output
    assert f"champion: version {released.champion()}" in shown.output


def test_what_costs_money_is_listed(released):
    listed = released.run("platform", "costs")
    assert listed.code == 0, listed.output
    for one in released.parts.costs.standing():
        assert one.name in listed.output
        assert one.what in listed.output
    assert "training job" not in listed.output


@pytest.mark.parametrize("what", ["permission", pytest.param("quota", marks=all_stories)])
def test_a_refused_training_ends_the_run_and_starts_nothing(released, what):
    before = released.cloud.jobs()
    released.cloud.refuse(what)
    refused = released.run("full-pipeline", "--force")
    released.cloud.heal()
    assert refused.code == released.cloud.codes[what], refused.output
    assert released.cloud.jobs() == before
    stages = {one["stage"]: one["status"] for one in released.toy.record()["stages"]}
    assert stages["train"] == "error"


@all_stories
def test_a_training_that_fails_says_why(released):
    failing = ("--set", "hyperparameters.do=exit1", "--set", "train.smoke_hyperparameters.do='no'")
    failed = released.run("full-pipeline", "--force", *failing)
    assert failed.code == 5, failed.output
    assert "the training does not feel like it" in failed.output
    assert not released.parts.training.running("toy")


def test_ctrl_c_stops_the_job_on_the_platform(released):
    hanging = ("--set", "hyperparameters.do=hang", "--set", "train.smoke_hyperparameters.do='no'")
    process = released.start("full-pipeline", "--force", "--run-id", "stopped", *hanging)
    released.toy.until("stopped", "job-submitted")
    training = released.parts.training
    job = training.find("toy", "stopped")
    assert eventually(lambda: training.state(job) is JobState.RUNNING)
    assert end(process, signal.SIGINT) == 130, released.toy.output()[-3000:]
    assert training.state(job) is JobState.CANCELLED
    assert not training.running("toy")
    assert released.toy.record()["outcome"] == "interrupted"
    assert eventually(lambda: not _sleepers(released.toy.folder))


def _sleepers(folder) -> list[int]:
    """Processes of the training that hangs, which work below the project's folder."""
    found = []
    for one in psutil.process_iter(["pid", "cwd", "cmdline"]):
        sleeps = "time.sleep(600)" in " ".join(one.info["cmdline"] or ())
        if sleeps and str(one.info["cwd"] or "").startswith(str(folder.parent)):
            found.append(one.info["pid"])
    return found


def _number(version) -> int:
    return int(version.version)
