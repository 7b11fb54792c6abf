"""The example released on the emulated SageMaker, as a user would run it.

A story takes minutes beside an emulator: `ML_PIPELINE_ALL_STORIES=1` runs all three. Those of a
small project, in `test_clouds.py`, always run.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators.permissions import sagemaker_asked, sagemaker_listed
from tests.emulators.sagemaker_driver import BUCKET, CREDENTIALS, emulated, parts_on

EXAMPLE = Path(__file__).parents[2] / "examples" / "freshmart"
MODEL = "freshmart-delivery-time"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
all_stories = pytest.mark.skipif(
    not os.environ.get("ML_PIPELINE_ALL_STORIES"),  # noqa: TID251 - asked for by hand
    reason="set ML_PIPELINE_ALL_STORIES=1: it takes minutes",
)
SETTINGS = {
    "platform": "sagemaker",
    "profile": "test",
    "sagemaker.region": "us-east-1",
    "sagemaker.role": "arn:aws:iam::123456789012:role/pipeline",
    "sagemaker.bucket": BUCKET,
    "sagemaker.image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256:" + "0" * 64,
    "sagemaker.metrics_period_s": 1,
    "sagemaker.metrics_delay_s": 1,
    "sagemaker.baking_s": 1,
    # A busy machine is no fault of the model's.
    "load.rate_per_s": 10,
    "load.time_out_s": 30,
    "load.max_p99_ms": 20000,
    "load.max_lag_ms": 5000,
    "rollout.replay_rate_per_s": 30,
    "rollout.min_requests": 30,
    "rollout.slow_ms": 20000,
    "staging.health_time_limit_s": 300,
}


def _environment() -> dict[str, str]:
    """A user's own; what chooses the stories is no setting of the pipeline's."""
    own = {**os.environ, **CREDENTIALS}  # noqa: TID251 - handed on as it is
    return {key: value for key, value in own.items() if key != "ML_PIPELINE_ALL_STORIES"}


class Story:
    """A copy of the example, and an account of its own."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "freshmart"
        left_out = shutil.ignore_patterns("runs", ".ml-pipeline", "__pycache__", ".*_cache")
        shutil.copytree(EXAMPLE, self.source, ignore=left_out)
        self.emulator = emulated().fresh(delay_s=0.3)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`ml-pipeline …` on the platform sagemaker with the profile test."""
        told = {**SETTINGS, "sagemaker.endpoint_url": self.emulator.url}
        sets = [word for key, value in told.items() for word in ("--set", f"{key}={value}")]
        return subprocess.run(
            [str(Path(sys.executable).with_name("ml-pipeline")), *words, *sets],
            cwd=self.source, capture_output=True, text=True, check=False, timeout=800,
            env=_environment(),
        )  # fmt: skip

    def records(self) -> list[dict]:
        found = sorted((self.source / "runs").glob("*/run.json"), key=lambda p: p.stat().st_mtime)
        return [json.loads(path.read_text()) for path in found]

    @property
    def parts(self):
        return parts_on(self.emulator.url, model=MODEL)


@pytest.fixture
def story(tmp_path):
    made = Story(tmp_path)
    yield made
    assert made.emulator.told()["violations"] == []
    made.emulator.fresh()


@all_stories
def test_a_better_model_is_promoted(story):
    done = story.run("full-pipeline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["outcome"] for one in story.records()] == ["promoted", "promoted"]
    parts, told = story.parts, story.emulator.told()
    assert parts.registry.champion(MODEL).version == "2"
    assert parts.router.weights() == {"v2": 100}
    assert parts.router.rollout() is None
    assert told["endpoints"] == [f"{MODEL}-production"]
    assert sorted(told["jobs"].values()) == ["Completed", "Completed"]
    assert [one.kind for one in parts.costs.standing()] == ["endpoint"]
    assert sagemaker_asked(told["calls"]) <= sagemaker_listed()


@all_stories
def test_a_worse_model_is_no_improvement(story):
    assert story.run("full-pipeline").returncode == 0
    done = story.run(
        "full-pipeline", "--force", "--reason", "worse", "--set", "hyperparameters.n_estimators=3"
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert story.records()[-1]["outcome"] == "no-improvement"
    assert story.parts.registry.champion(MODEL).version == "2"
    assert story.parts.router.weights() == {"v2": 100}


@all_stories
def test_a_model_that_harms_is_rolled_back(story):
    story.emulator.ask("drills", {"v2": "errors=0.5"})
    done = story.run("full-pipeline")
    assert done.returncode == 9, done.stdout + done.stderr
    assert story.records()[-1]["outcome"] == "rolled-back"
    assert story.parts.router.weights() == {"v1": 100}
    assert story.parts.registry.champion(MODEL).version == "1"
    assert story.parts.router.rollout() is None
