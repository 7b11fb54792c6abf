"""What the pipeline itself costs: ten trivial stages, the answer "nothing to do", `--help`.

    python bench/overhead.py [--runs 5] [--without-dvc]

Everything is timed as a whole process, in turn with DVC doing the same ten stages, so that the
ratio holds on a machine whose speed drifts. DVC is installed into a folder of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = """
import sys
from pathlib import Path
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.evidence import LocalRuns
from ml_pipeline.adapters.local.memo import FolderMemo
from ml_pipeline.conductor import Conductor
from ml_pipeline.domain.evidence import StageOutcome, Status
from ml_pipeline.pipeline import StageSpec, execute

def run(*, stage):
    file = stage.path / "out.txt"
    file.write_text(stage.stage)
    return StageOutcome(status=Status.PASSED, artifacts=(file,))

if __name__ == "__main__":
    root = Path(sys.argv[1])
    clock = HostClock()
    runs = LocalRuns(root / "runs", clock)
    stages = [
        StageSpec(id=f"s{n}", title="", needs=(f"s{n - 1}",) if n else (), run="trivial:run")
        for n in range(10)
    ]
    conductor = Conductor(
        run_id=f"r{clock.now():%H%M%S%f}", runs=runs, memo=FolderMemo(root / "cache"), clock=clock,
        provide=lambda name, folder: folder, digests={}, watcher=lambda *_: None,
    )
    results = execute(stages, conductor.run_stage, skip=conductor.skip, done={})
    assert all(one.status is Status.PASSED for one in results.values())
"""


def timed(command: list[str], cwd: Path, environ: dict[str, str] | None = None) -> float:
    """Seconds of a whole process."""
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout[-800:]}{done.stderr[-800:]}")
    return time.perf_counter() - begun


def dvc_in(folder: Path) -> Path:
    """DVC's program, installed by uv."""
    subprocess.run(["uv", "venv", "-q", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "-q", "-p", str(python), "dvc"], check=True)
    return python.with_name("dvc")


def dvc_project(folder: Path, dvc: Path) -> None:
    """Ten stages, each writing one small file, depending on the one before."""
    folder.mkdir()
    lines = ["stages:"]
    for n in range(10):
        lines += [f"  s{n}:", f"    cmd: echo s{n} > s{n}.txt", "    outs:", f"    - s{n}.txt"]
        if n:
            lines += ["    deps:", f"    - s{n - 1}.txt"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    timed([str(dvc), "init", "--no-scm", "-q"], folder)


def row(name: str, seconds: list[float], other: list[float] | None = None) -> None:
    """One line of the table."""
    text = f"{name:<34} median {statistics.median(seconds):6.3f} s  min {min(seconds):6.3f}"
    if other:
        ratios = [a / b for a, b in zip(seconds, other, strict=True)]
        text += f"  ratio to DVC {statistics.median(ratios):5.2f}"
    print(text)


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser()
    words.add_argument("--runs", type=int, default=5)
    words.add_argument("--without-dvc", action="store_true")
    words.add_argument("--project", type=Path, help="a project whose newest run is still current")
    asked = words.parse_args()
    program = str(Path(sys.executable).with_name("ml-pipeline"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "trivial.py").write_text(OURS)
        environ = {**os.environ, "PYTHONPATH": str(folder)}
        ours, helps, theirs = [], [], []
        dvc = None if asked.without_dvc else dvc_in(folder)
        if dvc:
            dvc_project(folder / "dvc", dvc)
        for turn in range(asked.runs + 1):
            one = timed([sys.executable, "trivial.py", str(folder)], folder, environ)
            two = timed([program, "--help"], folder)
            three = timed([str(dvc), "repro", "-f"], folder / "dvc") if dvc else 0.0
            if turn:  # the first warms the caches
                ours.append(one)
                helps.append(two)
                theirs.append(three)
        row("ten trivial stages", ours, theirs if dvc else None)
        if dvc:
            row("ten trivial stages, DVC", theirs)
        row("--help", helps)
    if asked.project:
        command = [program, "full-pipeline", "--source", str(asked.project)]
        row("nothing to do", [timed(command, asked.project) for _ in range(asked.runs)])


if __name__ == "__main__":
    main()
