"""Containers as the clouds start them: a process with little in its environment, and a tree."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.projects import caller, write_files

#: A training that does as its third word says.
SCRIPT = """
import os, pathlib, subprocess, sys, time
data, output, behaviour, metrics = sys.argv[1:5]
output = pathlib.Path(output)
(output / "unfinished").write_text("")
print("rows:", pathlib.Path(data).read_text().count("\\n"), flush=True)
if behaviour == "fail":
    sys.exit("the training says why " + os.environ.get("SHOP_TOKEN", ""))
if behaviour == "crash":
    os.kill(os.getpid(), 9)
if behaviour == "hang":
    away = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(away, start_new_session=True, stdout=subprocess.DEVNULL)
    print("hangs", os.getpid(), child.pid, flush=True)
    time.sleep(600)
if behaviour == "quiet-child":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
if behaviour == "words":
    (output / "words.txt").write_text(" ".join(sys.argv[5:]))
(output / "unfinished").unlink()
if behaviour != "no-model":
    (output / "deep").mkdir()
    (output / "deep" / "model.skops").write_bytes(pathlib.Path(data).read_bytes())
if behaviour == "pipe-model":
    (output / "deep" / "model.skops").unlink()
    os.mkfifo(output / "deep" / "model.skops")
if behaviour == "pipe-metrics":
    os.mkfifo(output / "scores.json")
elif behaviour != "no-metrics":
    (output / "scores.json").write_text(metrics)
"""
ROWS = "a,b\n1,2\n"


def told(behaviour: str = "succeed", metrics: str = '{"mae": 4.5}', *more: str) -> dict[str, str]:
    """What the job is told, by our names."""
    argv = ["python", "t.py", "{data}", "{output}", behaviour, metrics, *more]
    return {
        "ML_PIPELINE_COMMAND": json.dumps(argv),
        "ML_PIPELINE_ARTIFACT": "deep/model.skops",
        "ML_PIPELINE_METRICS": "scores.json",
    }


@dataclass
class Container:
    """A container's files below one folder, and what its cloud sets in its environment."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.source = write_files(self.folder / "project", {"t.py": SCRIPT})

    def start(self, program: str, *words: str, **more: str) -> "subprocess.Popen[str]":
        """The entry program, in the background."""
        prefix = str(Path(sys.executable).parent.parent)
        ours = {"ML_PIPELINE_SOURCE": str(self.source), "ML_PIPELINE_PROJECT_ENV": prefix}
        return subprocess.Popen(
            [sys.executable, "-m", "ml_pipeline.entry", program, *self.words, *words],
            env={**caller(), **ours, **self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def train(self, *words: str, **more: str) -> "Ended":
        """A training to its end."""
        process = self.start("train", *words, **more)
        out, err = process.communicate(timeout=240)
        return Ended(process.returncode, out, err)

    @property
    def output(self) -> Path:
        """Where the cloud collects the model."""
        raise NotImplementedError

    @property
    def failure(self) -> Path:
        """Where the cloud, or its adapter, reads why a job failed."""
        return self.output / "failure.txt"


@dataclass
class Ended:
    """A container that ended."""

    code: int
    out: str
    err: str


class SageMaker(Container):
    """The tree below /opt/ml."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        super().__init__(folder)
        tree = {
            "ml/input/config/hyperparameters.json": json.dumps(dict(given)),
            "ml/input/data/training/rows.csv": ROWS,
        }
        write_files(folder, tree)
        (folder / "ml" / "model").mkdir(exist_ok=True)
        self.environ = {"TRAINING_JOB_NAME": "job-1", "ML_PIPELINE_ROOT": str(folder / "ml")}

    @property
    def output(self) -> Path:
        return self.folder / "ml" / "model"

    @property
    def failure(self) -> Path:
        return self.folder / "ml" / "output" / "failure"


class AzureMl(Container):
    """Mounted inputs and outputs, named in the command."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        super().__init__(folder)
        data = write_files(folder, {"mnt/in/rows.csv": ROWS}) / "mnt" / "in" / "rows.csv"
        self.environ = {"AZUREML_RUN_ID": "job-1", **given}
        self.words = ("--data", str(data), "--output", str(self.output))

    @property
    def output(self) -> Path:
        return self.folder / "mnt" / "out"


class Vertex(Container):
    """Buckets, mounted below /gcs."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        super().__init__(folder)
        write_files(folder, {"gcs/bucket/data/rows.csv": ROWS})
        self.environ = {
            "AIP_MODEL_DIR": "gs://bucket/jobs/1/model/",
            "ML_PIPELINE_DATA": "gs://bucket/data/rows.csv",
            "ML_PIPELINE_ROOT": str(folder / "gcs"),
            **given,
        }

    @property
    def output(self) -> Path:
        return self.folder / "gcs" / "bucket" / "jobs" / "1" / "model"
