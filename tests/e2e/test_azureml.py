"""The example released on the emulated Azure ML, as a user would run it.

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

from tests.emulators.azureml_cases import parts_of, workspace

EXAMPLE = Path(__file__).parents[2] / "examples" / "freshmart"
MODEL = "freshmart-delivery-time"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
all_stories = pytest.mark.skipif(
    not os.environ.get("ML_PIPELINE_ALL_STORIES"),  # noqa: TID251 - asked for by hand
    reason="set ML_PIPELINE_ALL_STORIES=1: it takes minutes",
)
#: A busy machine is no fault of the model's.
PATIENT = (
    "load.rate_per_s=10",
    "load.time_out_s=30",
    "load.max_p99_ms=20000",
    "load.max_lag_ms=5000",
    "rollout.replay_rate_per_s=30",
    "rollout.min_requests=30",
    "staging.health_time_limit_s=300",
)


def caller() -> dict[str, str]:
    """A user's own: neither what chooses the stories, nor the cloud the SDK here has set."""
    ours = os.environ  # noqa: TID251 - a test stands where a person would
    left_out = {"AZUREML_CURRENT_CLOUD", "ML_PIPELINE_ALL_STORIES"}
    return {key: value for key, value in ours.items() if key not in left_out}


class Story:
    """A copy of the example, and a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "freshmart"
        left_out = shutil.ignore_patterns("runs", ".ml-pipeline", "__pycache__", ".*_cache")
        shutil.copytree(EXAMPLE, self.source, ignore=left_out)
        self._open = workspace(folder, source=self.source, latency_s=0.1, period_s=1.0, late_s=0.5)
        self.azure = self._open.__enter__()

    def end(self) -> None:
        self._open.__exit__(None, None, None)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`ml-pipeline …` on the platform azureml with the profile test."""
        told = {f"azureml.{key}": value for key, value in self.azure.settings().items()}
        told |= {"platform": "azureml", "profile": "test", "azureml.metrics_delay_s": 1}
        pairs = [*(f"{key}={value}" for key, value in told.items()), *PATIENT]
        sets = [word for pair in pairs for word in ("--set", pair)]
        return subprocess.run(
            [str(Path(sys.executable).with_name("ml-pipeline")), *words, *sets],
            cwd=self.source, env=caller(), capture_output=True, text=True, check=False,
            timeout=800,
        )  # fmt: skip

    def records(self) -> list[dict]:
        found = sorted((self.source / "runs").glob("*/run.json"), key=lambda p: p.stat().st_mtime)
        return [json.loads(path.read_text()) for path in found]

    @property
    def parts(self):
        return parts_of(self.azure, model=MODEL)


@pytest.fixture
def story(tmp_path):
    made = Story(tmp_path)
    yield made
    made.end()


@all_stories
def test_a_better_model_is_promoted(story):
    done = story.run("full-pipeline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["outcome"] for one in story.records()] == ["promoted", "promoted"]
    parts = story.parts
    assert parts.registry.champion(MODEL).version == "2"
    assert parts.router.weights() == {"v2": 100}
    assert parts.router.rollout() is None
    assert [name for name in story.azure.endpoints if name.endswith("stag")] == []
    assert not parts.training.running(MODEL)
    assert {one.kind for one in parts.costs.standing()} == {"deployment"}
    assert len(story.azure.jobs) == 2


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
    production = story.parts.production_host._endpoint.name
    story.azure.errors[f"{production}/slot-v2"] = 0.5
    done = story.run("full-pipeline")
    assert done.returncode == 9, done.stdout + done.stderr
    assert story.records()[-1]["outcome"] == "rolled-back"
    assert story.parts.router.weights() == {"v1": 100}
    assert story.parts.registry.champion(MODEL).version == "1"
    assert story.parts.router.rollout() is None
