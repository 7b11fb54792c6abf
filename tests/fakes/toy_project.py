"""A whole ML project in forty lines: least squares, saved as ONNX, on made-up rows.

Nothing of it is heavy, so that a test can run the whole pipeline on it in seconds.
"""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.launching import ML_PIPELINE, Launched
from tests.fakes.projects import write_files

FILES = {
    "requirements.txt": "onnx>=1.17\nnumpy>=2\n",
    "rows.py": """
        import random, sys

        def write(path, rows, seed=1):
            dice = random.Random(seed)
            with open(path, "w") as file:
                file.write("at,id,x1,x2,y\\n")
                for n in range(rows):
                    late = n > rows * 0.5
                    x1, x2 = dice.uniform(0, 10), dice.uniform(0, 10)
                    y = 3 * x1 + (4 if late else 1) * x2 + dice.gauss(0, 1) + 20
                    at = f"2026-01-{1 + n * 28 // rows:02d}T{n % 24:02d}:00:00Z"
                    file.write(f"{at},{n},{x1:.6f},{x2:.6f},{y:.6f}\\n")

        write(sys.argv[1], int(sys.argv[2]))
        """,
    "fit.py": """
        import argparse, csv, json, os, subprocess, sys, time
        import numpy as np
        import onnx
        from onnx import TensorProto, helper

        words = argparse.ArgumentParser()
        words.add_argument("--data")
        words.add_argument("--out")
        words.add_argument("--offset", type=float, default=0.0)
        words.add_argument("--do", default="")
        asked = words.parse_args()
        if asked.do == "exit1":
            sys.exit("the training does not feel like it")
        if asked.do == "hang":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            time.sleep(600)
        rows = list(csv.DictReader(open(asked.data)))
        x = np.array([[float(r["x1"]), float(r["x2"]), 1.0] for r in rows])
        y = np.array([float(r["y"]) for r in rows])
        weights = np.linalg.lstsq(x, y, rcond=None)[0]
        mae = float(np.abs(x @ weights - y).mean())
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["a"]),
             helper.make_node("Add", ["a", "b"], ["y"])],
            "line",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
            [helper.make_tensor("w", TensorProto.FLOAT, [2, 1], weights[:2].astype("f").tolist()),
             helper.make_tensor("b", TensorProto.FLOAT, [1], [float(weights[2]) + asked.offset])],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        if asked.do == "pickle":
            import pickle
            pickle.dump({"model": 1}, open(os.path.join(asked.out, "model.onnx"), "wb"))
        else:
            onnx.save(model, os.path.join(asked.out, "model.onnx"))
        told = {"mae": {"nans": float("nan"), "huge": 1e9}.get(asked.do, mae)}
        if asked.do != "silent":
            json.dump(told, open(os.path.join(asked.out, "metrics.json"), "w"))
        """,
    "ml-pipeline.toml": """
        model = "toy"
        profile = "test"

        [environment]
        requirements = ["requirements.txt"]

        [data]
        fetch = ["python", "rows.py", "{output}", "4000"]
        target = "y"
        features = ["x1", "x2"]
        time_column = "at"
        key_columns = ["id"]

        [checks]
        lint = [["python", "-m", "compileall", "-q", "fit.py"]]

        [train]
        command = ["python", "fit.py", "--data", "{data}", "--out", "{output}"]
        artifact = "model.onnx"

        [metric]
        name = "mae"
        min = 0
        max = 1000
        reported_as = "mae"
        prediction_min = -1000
        prediction_max = 1000

        [gate]
        limit = 12

        [retrain]
        guard_h = 0

        # A busy machine is no fault of the model's.
        [load]
        max_p99_ms = 5000
        max_lag_ms = 2000
        duration_s = 1
        rate_per_s = 200

        [rollout]
        slow_ms = 5000
        min_requests = 30
        replay_rate_per_s = 200
        lease_s = 5
        """,
}

#: What turns a fitted line into a worse one.
WORSE = ("--set", "hyperparameters.offset=-20")


@dataclass(frozen=True, slots=True)
class Toy:
    """One toy project on disk, and the command line on it."""

    folder: Path

    @property
    def state(self) -> Path:
        """The pipeline's own folder."""
        return self.folder / ".ml-pipeline"

    @property
    def runs(self) -> Path:
        """All evidence."""
        return self.folder / "runs"

    def start(self, *words: str, **environ: str) -> Launched:
        """`ml-pipeline …` in the background, in a session of its own."""
        own = {k: v for k, v in os.environ.items() if k != "ML_PIPELINE_ALL_STORIES"}  # noqa: TID251
        at = () if "--source" in words else ("--source", str(self.folder))
        log = self.folder.with_suffix(".output")
        return Launched(ML_PIPELINE, (*words, *at), log, {**own, "CI": "true", **environ})

    def run(self, *words: str, **environ: str) -> "Ended":
        """`ml-pipeline …` to its end."""
        before = self.output()
        process = self.start(*words, **environ)
        code = process.wait(timeout=240)
        return Ended(code, self.output()[len(before) :])

    def output(self) -> str:
        """Everything printed so far."""
        log = self.folder.with_suffix(".output")
        return log.read_text() if log.exists() else ""

    def newest(self) -> Path:
        """The folder of the newest run."""
        return max(self.runs.glob("*/journal.jsonl"), key=lambda p: p.stat().st_ctime_ns).parent

    def journal(self, run: Path | None = None) -> list[dict[str, Any]]:
        """The journal of a run, the newest by default."""
        path = (run or self.newest()) / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

    def record(self, run: Path | None = None) -> dict[str, Any]:
        """What a run came to."""
        return json.loads(((run or self.newest()) / "run.json").read_text())

    def until(self, run_id: str, event: str, limit_s: float = 120, **facts: object) -> None:
        """Wait until the journal of a run has a line with that event and those facts."""
        deadline = time.monotonic() + limit_s
        folder = self.runs / run_id
        while time.monotonic() < deadline:
            lines = self.journal(folder) if (folder / "journal.jsonl").exists() else []
            for line in lines:
                if line["event"] == event and facts.items() <= line.items():
                    return
            time.sleep(0.02)  # noqa: TID251 - the other side is another process
        raise AssertionError(f"{event} {facts} never came:\n{self.output()[-3000:]}")


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    output: str


def toy(folder: Path, changed: Mapping[str, str] | None = None) -> Toy:
    """A toy project in an empty folder; `changed` are files instead of its own."""
    write_files(folder, {**FILES, **(changed or {})})
    return Toy(folder)


def configured(*replaced: tuple[str, str], files: Sequence[str] = ("ml-pipeline.toml",)):
    """The toy's configuration with pieces of its text replaced."""
    changed = {}
    for name in files:
        text = FILES[name]
        for old, new in replaced:
            if old not in text:
                raise ValueError(f"{old!r} is not in {name}")
            text = text.replace(old, new)
        changed[name] = text
    return changed


def end(process: Launched, number: int = signal.SIGKILL) -> int:
    """Send a signal to one process, not its group, and wait for its end."""
    process.send_signal(number)
    return process.wait(timeout=120)
