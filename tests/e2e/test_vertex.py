"""The example released on the emulated Vertex AI, as a user would run it.

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

from tests.emulators.vertex_cases import emulator_in, parts_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "freshmart"
MODEL = "freshmart-delivery-time"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
all_stories = pytest.mark.skipif(
    not os.environ.get("ML_PIPELINE_ALL_STORIES"),  # noqa: TID251 - asked for by hand
    reason="set ML_PIPELINE_ALL_STORIES=1: it takes minutes",
)


def _caller() -> dict[str, str]:
    """A user's own; what chooses the stories is no setting of the pipeline's."""
    ours = os.environ  # noqa: TID251 - a test stands where a person would
    return {key: value for key, value in ours.items() if key != "ML_PIPELINE_ALL_STORIES"}


class Story:
    """A copy of the example, and a Vertex AI of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "freshmart"
        left_out = shutil.ignore_patterns("runs", ".ml-pipeline", "__pycache__", ".*_cache")
        shutil.copytree(EXAMPLE, self.source, ignore=left_out)
        self.emulator = emulator_in(folder, images={"shop:1": self.source}, latency_s=0.1)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`ml-pipeline …` on the platform vertex with the profile test."""
        told = {**self.emulator.settings(), "machine_type": "n1-standard-4"}
        sets = [w for key, value in told.items() for w in ("--set", f"vertex.{key}={value}")]
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("ml-pipeline")), *words,
                "--set", "platform=vertex", "--set", "profile=test", *sets,
            ],
            cwd=self.source, env=_caller(), capture_output=True, text=True, check=False,
            timeout=800,
        )  # fmt: skip

    def records(self) -> list[dict]:
        found = sorted((self.source / "runs").glob("*/run.json"), key=lambda p: p.stat().st_mtime)
        return [json.loads(path.read_text()) for path in found]

    @property
    def parts(self):
        return parts_of(self.emulator, self.folder, model=MODEL)


@pytest.fixture
def story(tmp_path):
    made = Story(tmp_path)
    yield made
    made.emulator.stop()


@all_stories
def test_a_better_model_is_promoted(story):
    done = story.run("full-pipeline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["outcome"] for one in story.records()] == ["promoted", "promoted"]
    champion = story.parts.registry.champion(MODEL)
    assert champion.version == "2"
    assert {k: v for k, v in story.parts.router.weights().items() if v} == {"v2": 100}
    assert story.parts.router.rollout() is None
    assert list(story.parts.staging_host.list()) == []
    assert not story.parts.training.running(MODEL)
    assert {one.kind for one in story.parts.costs.standing()} == {"deployment"}
    cut = {"CreateCustomJob": 2, "UploadModel": 2}
    assert {name: story.emulator.faults.calls.count(name) for name in cut} == cut


@all_stories
def test_a_worse_model_is_no_improvement(story):
    assert story.run("full-pipeline").returncode == 0
    done = story.run("full-pipeline", "--force", "--reason", "worse", "--set",
                     "hyperparameters.n_estimators=3")  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert story.records()[-1]["outcome"] == "no-improvement"
    assert story.parts.registry.champion(MODEL).version == "2"


@all_stories
def test_a_model_that_harms_is_rolled_back(story):
    story.emulator.faults.chaos["v2"] = "errors=0.5"
    done = story.run("full-pipeline")
    assert done.returncode == 9, done.stdout + done.stderr
    assert story.records()[-1]["outcome"] == "rolled-back"
    assert {k: v for k, v in story.parts.router.weights().items() if v} == {"v1": 100}
    assert story.parts.registry.champion(MODEL).version == "1"
    assert story.parts.router.rollout() is None
