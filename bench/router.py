"""What the router costs: a model server asked directly and through it, in turns.

    python bench/router.py [--seconds 5] [--rounds 3]

Prints p50 and p99 at 500 requests/s (from each request's planned start) and the most requests/s a
closed loop of 16 connections gets, direct and through the router, and how they compare. The
model server is one without a model, so what is left is the way there and back.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import uvloop

from tests.fakes.platforms import BODY, LocalWorld

RATE_PER_S, CONNECTIONS = 500, 16
_BODY = json.dumps(BODY).encode()
_REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY

QUICK_SERVER = """
import argparse, asyncio, json, sys
from pathlib import Path
import uvloop
from ml_pipeline.serving.http import HttpServer, Response

async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready-file")
    asked, _ = parser.parse_known_args()
    answer = Response(200, b'{"predictions": [1.0]}')
    server = HttpServer(lambda _: answer, body_bytes=1 << 20, refusal=lambda *_: answer)
    port = await server.start("127.0.0.1", 0)
    Path(asked.ready_file).write_text(json.dumps({"port": port}))
    await asyncio.Event().wait()

uvloop.run(main())
"""


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.rest = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.rest += data
        head, end, body = self.rest.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if end and len(body) >= int(length):
            assert head.startswith(b"HTTP/1.1 200"), head
            self.rest = b""
            self.answered.set_result(None)

    async def ask(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(_REQUEST)
        await self.answered


@dataclass
class Result:
    p50_ms: float
    p99_ms: float
    per_s: float


async def measure(port: int, seconds: float) -> Result:
    loop = asyncio.get_running_loop()
    idle: list[Connection] = []
    took_s: list[float] = []

    async def open_one() -> Connection:
        return (await loop.create_connection(Connection, "127.0.0.1", port))[1]

    async def one(planned_s: float) -> None:
        connection = idle.pop() if idle else await open_one()
        await connection.ask()
        took_s.append(time.perf_counter() - planned_s)
        idle.append(connection)

    begun_s, tasks = time.perf_counter() + 0.05, []
    for number in range(int(RATE_PER_S * seconds)):
        planned_s = begun_s + number / RATE_PER_S
        await asyncio.sleep(max(0.0, planned_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(planned_s)))
    await asyncio.gather(*tasks)
    count, end_s = 0, time.perf_counter() + seconds

    async def loop_for_ever() -> None:
        nonlocal count
        connection = await open_one()
        while time.perf_counter() < end_s:
            await connection.ask()
            count += 1

    await asyncio.gather(*(loop_for_ever() for _ in range(CONNECTIONS)))
    took_s.sort()
    quantile = lambda share: took_s[int(share * (len(took_s) - 1))] * 1000  # noqa: E731
    return Result(quantile(0.5), quantile(0.99), count / seconds)


def in_a_process(port: int, seconds: float) -> Result:
    """From a process of its own, so that one measurement leaves nothing to the next."""
    command = [sys.executable, __file__, "--measure", str(port), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return Result(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(vars(uvloop.run(measure(asked.measure, asked.seconds)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Path(folder) / "quick_server.py"
        server.write_text(QUICK_SERVER)
        world = LocalWorld(Path(folder), server=str(server))
        world.up()
        try:
            world.deploy("a")
            world.router.set_weights({"a": 100})
            ports = [
                urlsplit(one.url).port
                for one in (world.production.target("a"), world.router.endpoint())
            ]
            router = psutil.Process(world.pid("router"))
            before_s = sum(router.cpu_times()[:2])
            rounds = [
                [in_a_process(port, asked.seconds) for port in ports] for _ in range(asked.rounds)
            ]
            used_s = sum(router.cpu_times()[:2]) - before_s
        finally:
            world.down()
    show(rounds)
    routed = sum((one.per_s + RATE_PER_S) * asked.seconds for _, one in rounds)
    print(f"router's processor time: {used_s / routed * 1e6:.0f} us a request")


def show(rounds: list[list[Result]]) -> None:
    direct, routed = ([pair[side] for pair in rounds] for side in (0, 1))
    median = lambda of, name: statistics.median(getattr(one, name) for one in of)  # noqa: E731
    print(f"{f'of {len(rounds)}':<22}{'direct':>10}{'router':>10}{'added':>10}{'ratio':>8}")
    for name, unit in (("p50_ms", "ms"), ("p99_ms", "ms"), ("per_s", "/s")):
        a, b = median(direct, name), median(routed, name)
        label = f"{name.split('_')[0]} at {RATE_PER_S}/s" if unit == "ms" else "most requests"
        print(f"{label:<18}{unit:>4}{a:>10.2f}{b:>10.2f}{b - a:>+10.2f}{b / a:>8.2f}")


if __name__ == "__main__":
    main()
