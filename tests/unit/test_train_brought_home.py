"""What the train stage brings home is a plain file, wherever it was trained."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import EnvironmentPolicy, TrainPolicy
from ml_pipeline.ports.training import JobRef, JobResult, JobState
from ml_pipeline.stages import train


def brought(folder: Path, lay) -> train.StageOutcome:
    """Of a job that has finished as soon as it is submitted."""
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    job = JobRef("cloud", "job-7")
    training = SimpleNamespace(
        submit=lambda _request: job,
        state=lambda _job: JobState.SUCCEEDED,
        url=lambda _job: "",
        result=lambda _job: JobResult(metrics={"mae": 1.0}, model_uri="cloud://model"),
    )
    stage = SimpleNamespace(
        path=folder,
        run_id="run-1",
        attempt=1,
        file=lambda *_words: folder / "rows.csv",
        journal=lambda *_words, **_facts: None,
    )
    return train.run(
        stage=stage,
        source=folder,
        project="shop",
        data=DataPolicy(path="rows.csv", target="b", features=("a",)),
        train=TrainPolicy(command=("train", "{data}", "{output}"), artifact="model.skops"),
        metric=MetricPolicy(name="mae", min=0, max=9, prediction_min=0, prediction_max=9),
        hyperparameters={},
        options=SimpleNamespace(source_digest="0" * 64),
        environment=EnvironmentPolicy(),
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
