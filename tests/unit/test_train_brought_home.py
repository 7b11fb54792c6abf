"""What the train stage brings home is a plain file, wherever it was trained."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import TrainPolicy
from ml_pipeline.ports.training import JobRef, JobResult, JobState
from ml_pipeline.stages import train


def brought(folder: Path, lay) -> train.StageOutcome:
    """Of a job that an earlier attempt of the run left finished."""
    job = JobRef("cloud", "job-7")
    training = SimpleNamespace(
        find=lambda *_words: job,
        state=lambda _job: JobState.SUCCEEDED,
        url=lambda _job: "",
        result=lambda _job: JobResult(metrics={"mae": 1.0}, model_uri="cloud://model"),
    )
    stage = SimpleNamespace(
        path=folder, run_id="run-1", attempt=2, journal=lambda *_words, **_facts: None
    )
    return train.run(
        stage=stage,
        source=folder,
        project="shop",
        data=None,
        train=TrainPolicy(command=("train", "{data}", "{output}"), artifact="model.skops"),
        metric=MetricPolicy(name="mae", min=0, max=9, prediction_min=0, prediction_max=9),
        hyperparameters={},
        options=None,
        environment=None,
        training=training,
        artifacts=SimpleNamespace(fetch=lambda _uri, target: lay(target) or "a digest"),
        clock=SimpleNamespace(monotonic=lambda: 0.0),
    )


def test_a_model_file_is_kept(tmp_path):
    outcome = brought(tmp_path, Path.touch)
    assert outcome.artifacts == (tmp_path / "model" / "model.skops",)


def test_a_model_that_is_a_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"job-7 left a folder as 'model\.skops'"):
        brought(tmp_path, Path.mkdir)
