"""Our model server and MLflow's, side by side in one run, one worker process on one core each.

    python bench/serving.py [--seconds 8] [--rounds 3] [--without-mlflow]

Both serve the same gradient boosting model of 100 trees, one row a request: ours as the pipeline
packages it (ONNX and skops), MLflow's as `mlflow models serve` does (its scikit-learn flavour and
its ONNX flavour; MLflow is installed for the run into an environment of its own). Prints the most
requests/s a closed loop of 16 connections gets, and p50 and p99 at 500 requests/s from each
request's planned start, as medians over rounds in which the servers take turns. The first server
answers without looking: what it shows is the machine and the client, and no model can be faster.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))

import httptools
import numpy as np
import orjson
import psutil
import skl2onnx
import sklearn
import skops.io
import uvloop
from sklearn.ensemble import GradientBoostingRegressor

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan
from ml_pipeline.ports.serving import Target
from ml_pipeline.serving.package import write_package

RATE_PER_S, CONNECTIONS, START_S = 500, 16, 180
NAMES = [f"f{at}" for at in range(8)]
ROW = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
BODY = orjson.dumps({"dataframe_split": {"columns": NAMES, "data": [ROW]}})
REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
SAVE = """
import sys, joblib, mlflow, onnx
model = joblib.load(sys.argv[1])
mlflow.sklearn.save_model(model, sys.argv[3] + "/sklearn", serialization_format="pickle")
mlflow.onnx.save_model(onnx.load(sys.argv[2]), sys.argv[3] + "/onnx")
"""


BARE = """
import asyncio, sys, uvloop

class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""

    def data_received(self, data):
        self.seen += data
        while (head := self.seen.find(b"\\r\\n\\r\\n")) >= 0:
            length = self.seen[:head].lower().partition(b"content-length:")[2].split(None, 1)
            end = head + 4 + int(length[0])
            if len(self.seen) < end:
                return
            self.seen = self.seen[end:]
            self.transport.write(ANSWER)

BODY = b'{"predictions":[0.0]}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(BODY) + BODY

async def serve():
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

uvloop.run(serve())
"""


@dataclass
class Served:
    """A kind of server, and what every round measured of it."""

    name: str
    command: list[str]
    port: int
    most_per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    errors: int = 0
    answer: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Asker(asyncio.Protocol):
    """Sends the request again as soon as its answer is whole."""

    def __init__(self, counted: list[int]) -> None:
        self.counted = counted
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.counted[self.parser.get_status_code() != 200] += 1
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(REQUEST)


def most_per_s(port: int, seconds: float) -> float:
    """Answers a second to 16 connections that each ask again at once."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        counted = [0, 0]
        asked = [
            await loop.create_connection(lambda: Asker(counted), "127.0.0.1", port)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.sleep(0.5)
        before, began = counted[0], time.perf_counter()
        await asyncio.sleep(seconds)
        took, answered = time.perf_counter() - began, counted[0] - before
        for transport, _ in asked:
            transport.abort()
        assert counted[1] == 0, f"{counted[1]} answers were not 200"
        return answered / took

    return uvloop.run(run())


def save(folder: Path) -> tuple[Path, Path, Path, Path]:
    """The model as our two packages, as joblib and as ONNX."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(5000, len(NAMES)))
    truth = 3 * rows[:, 0] + rows[:, 1] ** 2
    model = GradientBoostingRegressor(n_estimators=100, random_state=0).fit(rows, truth)
    onnx_file, skops_file, joblib_file = (folder / f"m.{end}" for end in ("onnx", "skops", "pkl"))
    proto = skl2onnx.to_onnx(model, rows[:1].astype(np.float32))
    onnx_file.write_bytes(proto.SerializeToString())
    skops.io.dump(model, skops_file)
    import joblib

    joblib.dump(model, joblib_file)
    columns = [{"name": name, "type": "float"} for name in NAMES]
    for file in (onnx_file, skops_file):
        facts = {"format": file.suffix[1:], "columns": columns, "task": "regression"}
        write_package(folder / f"package-{file.suffix[1:]}", file, facts)
    return folder / "package-onnx", folder / "package-skops", joblib_file, onnx_file


def ours(package: Path, port: int, skops_file: Path) -> list[str]:
    command = [sys.executable, "-m", "ml_pipeline.serving.server", "--package", str(package)]
    command += ["--port", str(port), "--slot", "bench", "--version", "1"]
    for name in skops.io.get_untrusted_types(file=skops_file):
        command += ["--trusted-type", name]
    return command


def mlflow_servers(folder: Path, joblib_file: Path, onnx_file: Path) -> list[Served]:
    """MLflow in an environment made for this run."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    environment = folder / "mlflow-env"
    python = str(environment / "bin" / "python")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(environment)], check=True)
    wanted = ["mlflow>=3.5,<4", f"scikit-learn=={sklearn.__version__}", "onnx", "onnxruntime"]
    subprocess.run([uv, "pip", "install", "-q", "-p", python, *wanted], check=True)
    save_both = [python, "-c", SAVE, str(joblib_file), str(onnx_file), str(folder)]
    # In the folder: MLflow looks for a project around it, and has much to say about it.
    subprocess.run(save_both, check=True, cwd=folder, capture_output=True)
    return [
        Served(
            f"MLflow, {flavour}",
            [
                str(environment / "bin" / "mlflow"), "models", "serve", "-m", str(folder / flavour),
                "--env-manager", "local", "-p", str(port), "-h", "127.0.0.1", "--workers", "1",
            ],
            port,
        )
        for flavour, port in (("sklearn", 18313), ("onnx", 18314))
    ]  # fmt: skip


@contextmanager
def running(served: Served, log: Path) -> Iterator[None]:
    """The server, with all its processes on core 0 once it answers."""
    with log.open("wb") as file:
        environ = {"PATH": f"{Path(served.command[0]).parent}:/usr/bin:/bin"}
        process = subprocess.Popen(
            served.command, stdout=file, stderr=file, env=environ, cwd=log.parent
        )
    try:
        deadline = time.monotonic() + START_S
        while not answers(served):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]:
            for thread in one.threads():
                psutil.Process(thread.id).cpu_affinity([0])
        yield
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.terminate()
        process.terminate()
        process.wait(30)


def answers(served: Served) -> bool:
    request = Request(f"{served.url}/invocations", BODY, {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=10) as answer:
            said = orjson.loads(answer.read())["predictions"]
    except OSError:
        return False
    while not isinstance(said, float):  # MLflow's ONNX flavour answers [{"variable": …}]
        said = next(iter(said.values())) if isinstance(said, dict) else said[0]
    served.answer = said
    return True


def measure(served: Served, seconds: float, folder: Path) -> None:
    with running(served, folder / "server.log"):
        most_per_s(served.port, 1)  # warm
        served.most_per_s.append(most_per_s(served.port, seconds))
        plan = LoadPlan(rate_per_s=RATE_PER_S, duration_s=seconds, time_out_s=10, bodies=[BODY])
        target = Target(url=f"{served.url}/invocations")
        work = Path(tempfile.mkdtemp(dir=folder))
        report = ProcessLoadGenerator(HostClock(), {}).run(target, plan, work=work)
        served.errors += report.errors
        served.p50_ms.append(report.p50_ms)
        served.p99_ms.append(report.p99_ms)


def show(all_served: list[Served]) -> None:
    first = all_served[0]
    base = statistics.median(first.most_per_s)
    print(f"\n{'':22}{'most/s':>10}{'ours is':>9}{'p50 ms':>9}{'p99 ms':>9}   at {RATE_PER_S}/s")
    for one in all_served:
        most, p50, p99 = map(statistics.median, (one.most_per_s, one.p50_ms, one.p99_ms))
        ratio = f"{base / most:.1f} x"
        failed = f"   {one.errors} requests failed" if one.errors else ""
        print(f"{one.name:22}{most:10,.0f}{ratio:>9}{p50:9.2f}{p99:9.2f}{failed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-mlflow", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx_package, skops_package, joblib_file, onnx_file = save(folder)
        skops_file = folder / "m.skops"
        bare = Served("no model at all", [sys.executable, "-c", BARE, "18310"], 18310)
        all_served = [
            Served("ours, ONNX", ours(onnx_package, 18311, skops_file), 18311),
            Served("ours, skops", ours(skops_package, 18312, skops_file), 18312),
        ]
        if not asked.without_mlflow:
            all_served += mlflow_servers(folder, joblib_file, onnx_file)
        psutil.Process().cpu_affinity([1])  # the client and what it starts; servers are moved
        for turn in range(asked.rounds):
            for served in [bare, *all_served]:
                measure(served, asked.seconds, folder)
                print(f"round {turn + 1}: {served.name} done", flush=True)
        spread = max(one.answer for one in all_served) - min(one.answer for one in all_served)
        assert spread < 1e-3, [(one.name, one.answer) for one in all_served]
        show([*all_served, bare])


if __name__ == "__main__":
    main()
