"""Every load generator, against real servers on loopback."""

import json
import subprocess
import sys
import threading
from collections import Counter

import psutil
import pytest
from hdrh.histogram import HdrHistogram

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import (
    ChecksFailedError,
    ConfigurationError,
    InterruptedRunError,
    PlatformUnavailableError,
)
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan
from ml_pipeline.ports.serving import Target
from tests.fakes.http_server import Answer, serving, unused_port

BODIES = (b'{"row": 1}', b'{"row": 2}', b'{"row": 3}')


@pytest.fixture
def clock():
    return HostClock()


@pytest.fixture(params=[ProcessLoadGenerator])
def generator(request, clock):
    yield request.param(clock, {"PATH": "/bin", "CANARY_TOKEN": "CANARY"})
    assert not workers(), "a generator's process outlived its test"


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "ml_pipeline.loadgen.worker" in one.cmdline()]


def plan(**changes) -> LoadPlan:
    usual = {"rate_per_s": 100, "duration_s": 0.5, "time_out_s": 30, "bodies": BODIES}
    return LoadPlan(**{**usual, **changes})


def test_every_planned_request_arrives_as_it_should(generator, tmp_path):
    with serving() as server:
        target = Target(url=server.url, headers={"Authorization": "Bearer abc"})
        report = generator.run(target, plan(), work=tmp_path)
    assert report.planned == report.sent == len(server.asked) == 50
    assert report.errors == 0
    assert Counter(asked.body for asked in server.asked) == Counter(BODIES * 16 + BODIES[:2])
    assert len({asked.headers["x-request-id"] for asked in server.asked}) == 50
    for asked in server.asked:
        assert asked.path == "/invocations"
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers["authorization"] == "Bearer abc"


def test_two_runs_share_no_request_id(generator, tmp_path):
    with serving() as server:
        for _ in range(2):
            generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert len({asked.headers["x-request-id"] for asked in server.asked}) == 10


def test_requests_leave_on_schedule_whatever_the_answers_do(generator, tmp_path):
    """No answer comes before the last request arrived: a closed model would wait for ever."""
    everyone = threading.Event()
    with serving(lambda _: Answer() if everyone.wait(60) else None) as server:
        last = threading.Thread(target=lambda: (server.wait_for(50), everyone.set()))
        last.start()
        report = generator.run(Target(url=server.url), plan(time_out_s=60), work=tmp_path)
        last.join()
    assert report.errors == 0
    assert report.max_ms >= 480, "the first request waited for the last, 490 ms later"


def test_errors_are_counted_by_kind_second_and_slot(generator, tmp_path):
    def answer(asked):
        number = int(asked.headers["x-request-id"].rpartition("-")[2])
        slot = "champion" if number % 2 else "challenger"
        return Answer(status=500 if number < 4 else 200, headers={"X-Model-Slot": slot})

    with serving(answer) as server:
        report = generator.run(
            Target(url=server.url), plan(rate_per_s=20, duration_s=1.5), work=tmp_path
        )
    assert report.errors_by_kind == [("http 500", 4)]
    assert [(row.second, row.requests, row.errors) for row in report.timeline] == [
        (0, 20, 4),
        (1, 10, 0),
    ]
    assert sorted(report.by_slot) == [("challenger", 15, 2), ("champion", 15, 2)]


def test_answers_without_a_slot_are_counted_in_none(generator, tmp_path):
    with serving() as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert report.by_slot == []


@pytest.mark.parametrize("status", [204, 301, 404, 429, 503])
def test_only_an_answer_of_2xx_is_no_error(generator, tmp_path, status):
    raw = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n" if status == 204 else None
    with serving(lambda _: Answer(status=status, raw=raw)) as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert report.errors_by_kind == ([] if status == 204 else [(f"http {status}", 5)])


def test_a_request_that_timed_out_is_an_error_with_its_time_out_as_latency(generator, tmp_path):
    done = threading.Event()
    with serving(lambda _: Answer() if done.wait(60) else None) as server:
        report = generator.run(
            Target(url=server.url), plan(duration_s=0.1, time_out_s=0.7), work=tmp_path
        )
        done.set()
    assert report.errors_by_kind == [("timed out", 10)]
    assert report.max_ms == pytest.approx(700)
    assert report.p50_ms == pytest.approx(700, rel=1e-3)
    assert report.sent == 10


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (None, "connection closed"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "connection closed"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le"), "connection closed"),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), "bad answer"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "bad answer"),
    ],
)
def test_a_broken_answer_is_an_error_of_its_own_kind(generator, tmp_path, said, kind):
    with serving(lambda _: said) as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert report.errors_by_kind == [(kind, 5)]


#: The server closes after each of these, and one that had not said so might be asked again.
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        CLOSES + b"\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        CLOSES + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + CLOSES + b"Content-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab",
    ],
)
def test_every_way_to_end_an_answer_is_understood(generator, tmp_path, raw):
    with serving(lambda _: Answer(raw=raw)) as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert report.errors_by_kind == []
    assert report.planned == 5


def test_a_second_answer_to_one_request_is_nobody_elses(generator, tmp_path):
    two = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2
    with serving(lambda _: Answer(raw=two)) as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    assert (report.planned, report.errors) == (5, 0)
    assert len(server.asked) == 5


def test_a_server_that_goes_away_is_refusals_not_silence(generator, tmp_path):
    with serving() as server:
        gone = threading.Thread(target=lambda: (server.wait_for(10), server.close()))
        gone.start()
        report = generator.run(Target(url=server.url), plan(duration_s=1), work=tmp_path)
        gone.join()
    kinds = dict(report.errors_by_kind)
    assert kinds["connection refused"] > 0
    assert report.planned == 100
    assert report.errors == sum(kinds.values()) == sum(row.errors for row in report.timeline)


@pytest.mark.parametrize("way", ["run", "replay"])
def test_where_nothing_listens_at_all_there_is_no_verdict(generator, tmp_path, way):
    target = Target(url=f"http://127.0.0.1:{unused_port()}/secret-path")
    with pytest.raises(PlatformUnavailableError, match="connection refused") as error:
        getattr(generator, way)(target, plan(), work=tmp_path)
    assert "secret-path" not in str(error.value)


def test_a_host_that_does_not_exist_is_named(generator, tmp_path):
    target = Target(url="http://no-such-host.invalid/")
    with pytest.raises(PlatformUnavailableError, match=r"no-such-host.invalid:80"):
        generator.run(target, plan(), work=tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        {"rate_per_s": 0}, {"rate_per_s": float("nan")}, {"duration_s": -1},
        {"duration_s": float("inf")}, {"time_out_s": 0}, {"time_out_s": 3601}, {"bodies": ()},
    ],
)  # fmt: skip
def test_an_impossible_plan_is_refused_before_any_request(generator, tmp_path, fault):
    with serving() as server:
        with pytest.raises(ConfigurationError, match=next(iter(fault))):
            generator.run(Target(url=server.url), plan(**fault), work=tmp_path)
        assert not server.asked


def test_an_interrupted_run_ends_its_traffic(generator, clock, tmp_path):
    with serving() as server:
        stop = threading.Thread(target=lambda: (server.wait_for(5), clock.stop("Ctrl-C")))
        stop.start()
        with pytest.raises(InterruptedRunError, match="Ctrl-C"):
            generator.run(Target(url=server.url), plan(duration_s=3600), work=tmp_path)
        stop.join()
        assert not workers()


def test_a_replay_goes_on_until_it_is_stopped(generator, tmp_path):
    with serving() as server:
        replay = generator.replay(Target(url=server.url), plan(duration_s=3600), work=tmp_path)
        server.wait_for(60)
        report = replay.stop()
        assert report == replay.stop()
        assert not workers()
    assert report.planned == report.sent == len(server.asked) >= 60
    assert report.errors == 0
    assert len({asked.headers["x-request-id"] for asked in server.asked}) == report.planned


def test_a_replay_stopped_at_once_has_sent_something_and_reports_it(generator, tmp_path):
    with serving() as server:
        report = generator.replay(Target(url=server.url), plan(), work=tmp_path).stop()
    assert report.planned == len(server.asked) >= 1


def test_a_replay_whose_plan_is_over_reports_when_it_is_asked(generator, tmp_path):
    with serving() as server:
        replay = generator.replay(Target(url=server.url), plan(duration_s=0.1), work=tmp_path)
        server.wait_for(10)
        assert replay.stop().planned == 10


def test_a_replay_can_be_stopped_after_the_run_was_interrupted(generator, clock, tmp_path):
    with serving() as server:
        replay = generator.replay(Target(url=server.url), plan(duration_s=60), work=tmp_path)
        clock.stop("SIGTERM")
        assert replay.stop().errors == 0


def test_a_replay_stopped_waits_for_what_is_under_way(generator, tmp_path):
    stopped = threading.Event()
    with serving(lambda _: Answer() if stopped.wait(60) else None) as server:
        replay = generator.replay(
            Target(url=server.url), plan(duration_s=60, time_out_s=60), work=tmp_path
        )
        server.wait_for(20)
        later = threading.Timer(0.3, stopped.set)
        later.start()
        report = replay.stop()
        later.join()
    assert report.errors == 0
    assert report.planned >= 20


def test_a_generator_that_was_killed_is_no_verdict(generator, tmp_path):
    with serving() as server:
        replay = generator.replay(Target(url=server.url), plan(duration_s=60), work=tmp_path)
        (worker,) = workers()
        worker.kill()
        for _ in range(2):
            with pytest.raises(ChecksFailedError, match="broke"):
                replay.stop()


def test_headers_and_url_of_a_target_are_written_nowhere(generator, tmp_path):
    with serving() as server:
        target = Target(url=f"{server.url}?key=CANARY", headers={"X-Key": "CANARY"})
        replay = generator.replay(target, plan(bodies=[b'"CANARY"']), work=tmp_path)
        (worker,) = workers()
        command = worker.cmdline()
        replay.stop()
    assert "CANARY" not in " ".join(command)
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert written
    assert not [content for content in written if b"CANARY" in content]


def test_no_secret_of_the_caller_reaches_its_process(generator, tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_INHERITED", "CANARY")
    with serving() as server:
        replay = generator.replay(Target(url=server.url), plan(duration_s=60), work=tmp_path)
        (worker,) = workers()
        seen = worker.environ()
        replay.stop()
    assert seen["PATH"] == "/bin"
    assert "CANARY" not in " ".join([*seen, *seen.values()])


def test_modules_of_the_users_project_do_not_stand_in_for_ours(generator, tmp_path, monkeypatch):
    for name in ("uvloop", "json", "hdrh"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    with serving() as server:
        assert not generator.run(
            Target(url=server.url), plan(duration_s=0.05), work=tmp_path
        ).errors


def test_the_histogram_agrees_with_the_figures(generator, tmp_path):
    with serving() as server:
        report = generator.run(Target(url=server.url), plan(), work=tmp_path)
    histogram = HdrHistogram.decode(report.histogram)
    assert histogram.get_total_count() == report.planned
    assert histogram.get_value_at_percentile(50) / 1e3 == pytest.approx(report.p50_ms, rel=1e-3)
    assert 0 <= report.p50_ms <= report.p90_ms <= report.p99_ms <= report.max_ms
    assert report.lag_p99_ms >= 0
    assert report.percentiles[-1][1] == report.max_ms


def test_traffic_ends_with_the_process_that_asked_for_it(tmp_path):
    """`kill -9` of the pipeline: nobody can say stop, so the closed pipe must."""
    caller = """
import sys, threading
from pathlib import Path
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan
from ml_pipeline.ports.serving import Target
plan = LoadPlan(rate_per_s=50, duration_s=3600, time_out_s=600, bodies=[b"{}"])
generator = ProcessLoadGenerator(HostClock(), {})
replay = generator.replay(Target(url=sys.argv[1]), plan, work=Path(sys.argv[2]))
print("going", flush=True)
threading.Event().wait()
"""
    never = threading.Event()
    with serving(lambda _: Answer() if never.wait(60) else None) as server:
        argv = [sys.executable, "-c", caller, server.url, str(tmp_path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "going\n"
            (worker,) = psutil.Process(process.pid).children()
            server.wait_for(5)
            process.kill()
        gone, alive = psutil.wait_procs([worker], timeout=60)
        never.set()
    assert gone
    assert not alive
    assert not (tmp_path / "load-report.json").exists()


def test_the_report_in_the_work_folder_is_the_report_told(generator, tmp_path):
    with serving() as server:
        report = generator.run(Target(url=server.url), plan(duration_s=0.05), work=tmp_path)
    written = json.loads((tmp_path / "load-report.json").read_text())
    assert written["planned"] == report.planned
    assert written["histogram"] == report.histogram
    assert [file.name for file in tmp_path.iterdir()] == ["load-report.json"]
