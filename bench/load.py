"""Our load generator beside others, and all of them beside the truth.

    python bench/load.py            # both parts, about two minutes
    python bench/load.py truth      # a server that stands still once: who says so?
    python bench/load.py schedule   # one core shared with a server: who keeps the schedule?

Uses vegeta, wrk, hey and oha where they are on the PATH and says which are not.
"""

import json
import math
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan, LoadReport
from ml_pipeline.ports.serving import Target

SERVER = Path(__file__).parents[1] / "tests" / "fakes" / "standing_server.py"
BODY = '{"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}'
RATE_PER_S = 500
SECONDS = 15
ANSWER_S = 0.02
STALL_S = 1.4
NEVER_S = 1e6


@dataclass
class Served:
    """A server, and after its end when it stood still."""

    url: str
    stall: list[float] = field(default_factory=list)
    requests: list[list[float]] = field(default_factory=list)


@contextmanager
def serving(answer_s: float, stall_after_s: float, stall_s: float) -> Iterator[Served]:
    """Our own test server, in a process of its own."""
    argv = [sys.executable, str(SERVER), str(answer_s), str(stall_after_s), str(stall_s)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        served = Served(f"http://127.0.0.1:{int(process.stdout.readline())}/invocations")
        yield served
        said = json.loads(process.communicate()[0])
    served.stall, served.requests = said["stall"], said["requests"]


def ours(url: str, rate_per_s: float, seconds: float) -> LoadReport:
    """One run of our own generator."""
    plan = LoadPlan(
        rate_per_s=rate_per_s, duration_s=seconds, time_out_s=30, bodies=[BODY.encode()]
    )
    with tempfile.TemporaryDirectory() as work:
        return ProcessLoadGenerator(HostClock(), {}).run(Target(url=url), plan, work=Path(work))


def said_by(argv: list[str], pattern: str, text: str | None = None) -> list[str]:
    """What a program printed, at the places the pattern's groups name."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
    found = re.search(pattern, done.stdout, re.DOTALL)
    if found is None:
        raise SystemExit(f"{argv[0]} printed nothing like {pattern!r}:\n{done.stdout}")
    return list(found.groups())


def vegeta(url: str, rate_per_s: int, seconds: int) -> float:
    """Open model; milliseconds."""
    with tempfile.TemporaryDirectory() as work:
        body, results = Path(work, "body"), Path(work, "results")
        body.write_text(BODY)
        attack = ["vegeta", "attack", f"-rate={rate_per_s}", f"-duration={seconds}s"]
        argv = [*attack, f"-body={body}", "-header=Content-Type: application/json"]
        subprocess.run([*argv, f"-output={results}"], input=f"POST {url}", text=True, check=True)
        (nanos,) = said_by(["vegeta", "report", "-type=json", str(results)], r'"99th":(\d+)')
    return int(nanos) / 1e6


def wrk(url: str, rate_per_s: int, seconds: int) -> float:
    """Closed model: as many connections as make about that rate; milliseconds."""
    connections = str(max(1, round(rate_per_s * ANSWER_S)))
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    value, unit = said_by([*argv, url], r"99%\s+([\d.]+)(us|ms|s)")
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def hey(url: str, rate_per_s: int, seconds: int) -> float:
    """Closed model with a limited rate; milliseconds."""
    workers = max(1, round(rate_per_s * ANSWER_S))
    argv = ["hey", "-z", f"{seconds}s", "-c", str(workers), "-q", str(rate_per_s / workers)]
    (value,) = said_by([*argv, "-m", "POST", "-d", BODY, url], r"99%+ in ([\d.]+) secs")
    return float(value) * 1e3


def oha(url: str, rate_per_s: int, seconds: int) -> float:
    """Closed model that corrects its latencies; milliseconds."""
    argv = ["oha", "-z", f"{seconds}s", "-q", str(rate_per_s), "--latency-correction", "--no-tui"]
    pattern = r'"p99":\s*([\d.]+)'
    (value,) = said_by([*argv, "-j", "-m", "POST", "-d", BODY, url], pattern)
    return float(value) * 1e3


PEERS: dict[str, Callable[[str, int, int], float]] = {
    "vegeta": vegeta,
    "wrk": wrk,
    "hey": hey,
    "oha": oha,
}


def truth_ms(served: Served, start_s: float, seconds: float) -> float:
    """p99 of users who come on schedule: those who came in the standstill waited for its end."""
    begin_s, end_s = served.stall
    planned = int(RATE_PER_S * seconds)
    waits = []
    for number in range(planned):
        at_s = start_s + number / RATE_PER_S
        caught = begin_s <= at_s < end_s
        waits.append((end_s - at_s if caught else 0.0) + ANSWER_S)
    return 1e3 * sorted(waits)[math.ceil(0.99 * planned) - 1]


def answered_ms(served: Served, start_s: float) -> float:
    """p99 from the planned start of each of our requests to the server's answer to it."""
    waits = sorted(done - start_s - n / RATE_PER_S for n, _, done in served.requests)
    return 1e3 * waits[math.ceil(0.99 * len(waits)) - 1]


def show(*cells: object) -> None:
    """One row."""
    print("  ".join(f"{cell!s:>14}" for cell in cells), flush=True)


def truth() -> None:
    """Who notices that the server stood still."""
    print(
        f"\nA server that answers in {1e3 * ANSWER_S:.0f} ms and stands still for {STALL_S} s once,"
        f" {RATE_PER_S}/s for {SECONDS} s: p99 in ms"
    )
    show("", "reported", "truth", "off", "server's log")
    for name in ("ours", *PEERS):
        if name != "ours" and shutil.which(name) is None:
            show(name, "not installed", "-", "-")
            continue
        with serving(ANSWER_S, SECONDS / 3, STALL_S) as served:
            tool = PEERS.get(name)
            if tool is None:
                reported = ours(served.url, RATE_PER_S, SECONDS).p99_ms
            else:
                reported = tool(served.url, RATE_PER_S, SECONDS)
        start_s = min(arrived - max(0, n) / RATE_PER_S for n, arrived, _ in served.requests)
        true = truth_ms(served, start_s, SECONDS)
        log = f"{answered_ms(served, start_s):.0f}" if name == "ours" else "-"
        show(name, f"{reported:.0f}", f"{true:.0f}", f"{100 * (reported / true - 1):+.1f} %", log)


def schedule() -> None:
    """Whether the schedule is kept on one core that the server shares."""
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everything)})
    print("\nOn one core, shared with a server that answers at once: our generator, 5 s each")
    show("requests/s", "p50 ms", "p99 ms", "lag p99 ms", "core, both")
    for rate_per_s in (50, 500, 1000, 2000, 3000):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with serving(0, NEVER_S, 0) as served:
            report = ours(served.url, rate_per_s, 5)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        figures = (report.p50_ms, report.p99_ms, report.lag_p99_ms)
        show(rate_per_s, *(f"{value:.2f}" for value in figures), f"{100 * cpu_s / 5:.0f} %")
        if report.errors:
            print(f"  errors: {report.errors_by_kind}")
    os.sched_setaffinity(0, everything)


def main() -> None:
    """Both parts, or the one that is named."""
    parts = {"truth": truth, "schedule": schedule}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
