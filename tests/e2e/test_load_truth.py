"""The load generator against the truth: a server that stands still, and says when."""

import json
import math
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan
from ml_pipeline.ports.serving import Target

SERVER = Path(__file__).parents[1] / "fakes" / "standing_server.py"
RATE_PER_S = 500
DURATION_S = 5.0
PLANNED = int(RATE_PER_S * DURATION_S)
ANSWER_S = 0.02
STALL_S = 1.4

pytestmark = pytest.mark.e2e


@dataclass
class Witness:
    """The server's port, and after its end what it recorded."""

    port: int
    stall: tuple[float, float] = (0.0, 0.0)
    requests: tuple[tuple[int, float, float], ...] = ()


@contextmanager
def standing_server():
    argv = [sys.executable, str(SERVER), str(ANSWER_S), "1.5", str(STALL_S)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, text=True, **pipes) as process:
        witness = Witness(int(process.stdout.readline()))
        yield witness
        said = json.loads(process.communicate()[0])
    witness.stall = tuple(said["stall"])
    witness.requests = tuple(map(tuple, said["requests"]))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One run, and what the server saw of it."""
    plan = LoadPlan(
        rate_per_s=RATE_PER_S, duration_s=DURATION_S, time_out_s=30, bodies=[b'{"x": 1}']
    )
    with standing_server() as witness:
        target = Target(url=f"http://127.0.0.1:{witness.port}/invocations")
        generator = ProcessLoadGenerator(HostClock(), {})
        report = generator.run(target, plan, work=tmp_path_factory.mktemp("load"))
    assert report.planned == report.sent == len(witness.requests) == PLANNED
    assert report.errors == 0
    return report, witness


def start_of(witness) -> float:
    """No request arrives before it was planned, so the earliest of all says when they began."""
    return min(arrived - number / RATE_PER_S for number, arrived, _ in witness.requests)


def test_p99_is_what_users_on_a_schedule_waited_when_the_server_stood_still(measured):
    """The bounds come from the server's own clock, so they hold however busy the machine is.

    A generator that waits for answers before it sends on (a closed model) reports about 22 ms.
    """
    report, witness = measured
    start_s = start_of(witness)
    waited_s = sorted(done - start_s - n / RATE_PER_S for n, _, done in witness.requests)
    rank = math.ceil(0.99 * PLANNED)
    truth_ms = 1e3 * waited_s[rank - 1]
    # Nothing planned while the server stood still was answered before it moved again.
    stood_s = witness.stall[1] - witness.stall[0]
    least_ms = 1e3 * (stood_s - (PLANNED - rank + 2) / RATE_PER_S)

    assert 1300 < least_ms <= truth_ms
    assert truth_ms <= report.p99_ms <= truth_ms + report.lag_p99_ms + 250
    assert report.p50_ms >= 1e3 * ANSWER_S


def test_the_standstill_shows_in_its_second_of_the_timeline(measured):
    report, witness = measured
    start_s = start_of(witness)
    first = math.ceil((witness.stall[0] - start_s) * RATE_PER_S)
    waited_ms = 1e3 * (witness.stall[1] - start_s - first / RATE_PER_S)
    rows = {row.second: row for row in report.timeline}
    assert [row.requests for row in report.timeline] == [RATE_PER_S] * int(DURATION_S)
    assert 1300 < waited_ms <= rows[first // RATE_PER_S].max_ms <= report.max_ms
