"""What a training leaves is a plain file of a sensible size, or an error names what it is."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local import job as files
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.tables import PolarsTables
from ml_pipeline.adapters.local.training import LocalTraining
from ml_pipeline.domain.errors import ConfigurationError, DataError
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import MetricPolicy
from ml_pipeline.domain.policies.training import PackagePolicy, TrainPolicy
from ml_pipeline.ports.runner import CommandResult
from ml_pipeline.ports.training import JobRef
from ml_pipeline.ports.training_output import metrics_text, require_file, what_was_left
from ml_pipeline.stages import smoke_train
from tests.fakes.containers import AzureMl, told

GOOD = '{"mae": 4.5}'


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def outside(path: Path) -> None:
    target = path.parent.parent / f"outside-{path.name}"
    target.write_text(GOOD)
    path.symlink_to(target)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 << 20)


NO_FILES = {
    "pipe": (os.mkfifo, "a pipe"),
    "folder": (Path.mkdir, "a folder"),
    "circle": (circle, "in a circle"),
    "dangling": (lambda path: path.symlink_to("gone"), "leads nowhere"),
    "outside": (outside, "leads out of"),
}
NO_METRICS = {**NO_FILES, "huge": (huge, "more than 1048576 bytes")}
AS_METRICS = pytest.mark.parametrize(("lay", "named"), NO_METRICS.values(), ids=NO_METRICS)
AS_MODEL = pytest.mark.parametrize(("lay", "named"), NO_FILES.values(), ids=NO_FILES)


@pytest.fixture
def output(tmp_path) -> Path:
    """Of a training that left both files."""
    made = tmp_path / "jobs" / "shop" / "run-1" / "1" / files.OUTPUT
    made.mkdir(parents=True)
    (made / "metrics.json").write_text(GOOD)
    (made / "model.skops").write_text("a model")
    return made


def instead(output: Path, name: str, lay) -> None:
    (output / name).unlink(missing_ok=True)
    lay(output / name)


def finished(output: Path) -> tuple[LocalTraining, JobRef]:
    """A job on this machine that ended well with that output."""
    folder = output.parent
    asked = {
        "run_id": "run-1", "argv": ["x"], "cwd": "/", "artifact": "model.skops",
        "metrics": "metrics.json", "marker": "m", "time_limit_s": 1.0,
        "submitted_at": str(datetime(2026, 1, 1, tzinfo=UTC)), "secret_names": [], "labels": {},
    }  # fmt: skip
    (folder / files.JOB).write_text(json.dumps(asked))
    (folder / files.PROCESS).write_text("{}")
    files.finish(folder, 0, "")
    state = folder.parents[3]
    return LocalTraining(state, None, HostClock()), JobRef("local", "shop/run-1/1")


def test_plain_files_and_links_among_them_are_taken(output):
    (output / "latest.json").symlink_to("metrics.json")
    assert what_was_left(output, "latest.json") == ""
    assert metrics_text(output, "latest.json", where="the training") == GOOD.encode()
    assert require_file(output, "model.skops", where="it") == output / "model.skops"


def test_what_is_not_there_is_nothing(output):
    assert what_was_left(output, "other") == "nothing"


@AS_METRICS
def test_metrics_of_a_job_here_are_a_plain_file(output, lay, named):
    instead(output, "metrics.json", lay)
    platform, job = finished(output)
    with pytest.raises(DataError, match=named) as caught:
        platform.result(job)
    assert "'metrics.json'" in str(caught.value)
    assert "shop/run-1/1" in str(caught.value)


@AS_MODEL
def test_the_model_of_a_job_here_is_a_plain_file(output, lay, named):
    instead(output, "model.skops", lay)
    platform, job = finished(output)
    with pytest.raises(DataError, match=named) as caught:
        platform.result(job)
    assert "'model.skops'" in str(caught.value)


class Leaving:
    """A project's runner whose training leaves something odd."""

    def __init__(self, name: str, lay) -> None:
        self.name, self.lay = name, lay

    def prepare(self) -> str:
        return ""

    def run(self, argv, *, log: Path, time_limit_s: float, **_: object) -> CommandResult:
        output = Path(argv[-1])
        log.write_text("")
        if argv[0] == "make":
            output.write_text("a,b\n1,2\n3,4\n5,6\n")
            return CommandResult(argv=tuple(argv), exit_code=0, duration_s=0.0, log=log)
        (output / "metrics.json").write_text(GOOD)
        (output / "model.skops").write_text("a model")
        instead(output, self.name, self.lay)
        return CommandResult(argv=tuple(argv), exit_code=0, duration_s=0.0, log=log)


class Unservable:
    """Trained models that predict, and that nothing can serve."""

    def predict(self, artifact: Path, rows: Path, **_: object) -> list[float]:
        return [1.0] * (len(rows.read_text().splitlines()) - 1)

    def package(self, artifact: Path, rows: Path, target: Path, **_: object):
        assert artifact.read_text() == "a model"
        assert rows.read_text() == "a,b\n1,2\n3,4\n5,6\n"
        raise ConfigurationError("no ONNX form", remedy="Set 'package.format' to \"skops\".")


def test_a_model_that_cannot_be_served_is_found_before_a_training_is_paid_for(tmp_path):
    with pytest.raises(ConfigurationError, match="no ONNX form"):
        smoke(tmp_path / "stage", Leaving("nothing odd", Path.touch), Unservable())


def smoke(folder: Path, runner: Leaving, trained: Unservable | None = None):
    folder.mkdir()
    data = DataPolicy(
        path="rows.csv",
        generate=("make", "{rows}", "{seed}", "{output}"),
        target="b",
        features=("a",),
    )
    return smoke_train.run(
        stage=SimpleNamespace(path=folder),
        data=data,
        train=TrainPolicy(command=("train", "{data}", "{output}"), artifact="model.skops"),
        package=PackagePolicy(),
        metric=MetricPolicy(name="mae", min=0, max=9, prediction_min=0, prediction_max=9),
        hyperparameters={},
        runner=runner,
        tables=PolarsTables(),
        trained=trained,
    )


@AS_METRICS
def test_a_smoke_training_that_leaves_odd_metrics_is_red_and_says_why(tmp_path, lay, named):
    outcome = smoke(tmp_path / "stage", Leaving("metrics.json", lay))
    assert [check.passed for check in outcome.checks] == [True, True, False]
    assert named in outcome.message
    assert "metrics.json" in outcome.message


@AS_MODEL
def test_a_smoke_training_that_leaves_an_odd_model_is_red_and_says_why(tmp_path, lay, named):
    outcome = smoke(tmp_path / "stage", Leaving("model.skops", lay))
    assert [check.passed for check in outcome.checks] == [True, False, True]
    assert named in outcome.message
    assert "model.skops" in outcome.message


@pytest.mark.parametrize(
    ("behaviour", "named"), [("pipe-metrics", "scores.json"), ("pipe-model", "deep/model.skops")]
)
def test_a_container_hands_over_plain_files_only(tmp_path, behaviour, named):
    container = AzureMl(tmp_path, told(behaviour))
    ended = container.train()
    assert ended.code == 5, ended.err
    assert f"left a pipe, a socket or a device as {named!r}" in container.failure.read_text()
    assert not (container.output / "deep").exists()
