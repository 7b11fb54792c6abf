"""The generator's process as the machine treats it: signals, TLS, a process tree."""

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import ChecksFailedError, PlatformUnavailableError
from ml_pipeline.loadgen.generator import ProcessLoadGenerator
from ml_pipeline.ports.load import LoadPlan
from ml_pipeline.ports.serving import Target
from tests.fakes.http_server import Answer, serving

pytestmark = pytest.mark.e2e


def plan(**changes) -> LoadPlan:
    return LoadPlan(
        **{"rate_per_s": 50, "duration_s": 0.2, "time_out_s": 30, "bodies": [b"{}"], **changes}
    )


def workers(work: Path) -> list[psutil.Process]:
    """The generators started for a folder: other tests' servers are children of this one too."""
    return [
        child for child in psutil.Process().children() if str(work) in " ".join(child.cmdline())
    ]


@pytest.fixture(autouse=True)
def _none_left(tmp_path):
    """A test that fails half-way leaves no traffic behind."""
    yield
    for left in workers(tmp_path):
        left.kill()
        left.wait()


def the_worker(work: Path) -> psutil.Process:
    (worker,) = workers(work)
    return worker


def test_sigterm_ends_the_traffic_in_order_and_keeps_the_figures(tmp_path):
    with serving() as server:
        generator = ProcessLoadGenerator(HostClock(), {})
        replay = generator.replay(Target(url=server.url), plan(duration_s=3600), work=tmp_path)
        server.wait_for(10)
        the_worker(tmp_path).terminate()
        report = replay.stop()
    assert report.planned == len(server.asked) >= 10
    assert report.errors == 0


def test_ctrl_c_in_a_terminal_reaches_the_pipeline_alone(tmp_path):
    """It goes to the whole foreground group; the pipeline ends the traffic in its own order."""
    with serving() as server:
        generator = ProcessLoadGenerator(HostClock(), {})
        replay = generator.replay(Target(url=server.url), plan(duration_s=3600), work=tmp_path)
        assert os.getpgid(the_worker(tmp_path).pid) != os.getpgid(0)
        replay.stop()


def test_a_generator_that_hangs_does_not_hang_the_pipeline(tmp_path, monkeypatch):
    """Stopped by the machine (SIGSTOP), it is ended once its time is over."""
    monkeypatch.setattr("ml_pipeline.loadgen.generator._GRACE_S", 0.4)
    with serving() as server:
        generator = ProcessLoadGenerator(HostClock(), {})
        replay = generator.replay(
            Target(url=server.url), plan(duration_s=3600, time_out_s=0.1), work=tmp_path
        )
        worker = the_worker(tmp_path)
        worker.send_signal(signal.SIGSTOP)
        with pytest.raises(ChecksFailedError, match="did not stop within"):
            replay.stop()
        assert not psutil.pid_exists(worker.pid)


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in one file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@pytest.fixture
def tls_port(certificate):
    """A TLS server that answers every request with 200."""
    server = subprocess.Popen(
        [sys.executable, "-c", TLS_SERVER, str(certificate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        yield int(server.stdout.readline())
        server.stdin.close()


TLS_SERVER = """
import asyncio, ssl, sys
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"{}"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, OSError):
        writer.close()
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""


def test_https_is_spoken_with_a_certificate_that_is_trusted(tls_port, certificate, tmp_path):
    trusted = {"SSL_CERT_FILE": str(certificate)}
    target = Target(url=f"https://127.0.0.1:{tls_port}/invocations")
    report = ProcessLoadGenerator(HostClock(), trusted).run(target, plan(), work=tmp_path)
    assert (report.planned, report.errors) == (10, 0)


def test_a_certificate_that_is_not_trusted_is_not_spoken_to(tls_port, tmp_path):
    target = Target(url=f"https://127.0.0.1:{tls_port}/invocations")
    with pytest.raises(PlatformUnavailableError, match="certificate verify failed"):
        ProcessLoadGenerator(HostClock(), {}).run(target, plan(), work=tmp_path)


def test_two_generators_side_by_side_do_not_mix(tmp_path):
    reports = {}

    def go(name: str, server) -> None:
        work = tmp_path / name
        work.mkdir()
        generator = ProcessLoadGenerator(HostClock(), {})
        reports[name] = generator.run(Target(url=server.url), plan(), work=work)

    slots = {name: Answer(headers={"X-Model-Slot": name}) for name in ("one", "two")}
    with serving(lambda _: slots["one"]) as one, serving(lambda _: slots["two"]) as two:
        threads = [threading.Thread(target=go, args=pair) for pair in (("one", one), ("two", two))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert reports["one"].by_slot == [("one", 10, 0)]
    assert reports["two"].by_slot == [("two", 10, 0)]
