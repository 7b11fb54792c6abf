"""The generator's process: `python -m ml_pipeline.loadgen.worker --report FILE < order`.

A process of its own, so that neither the pipeline's threads nor its garbage collections disturb
the schedule. On its standard output it says, in one line of JSON, that the first request has left
or why none can; the report is written last.
"""

import argparse
import asyncio
import gc
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from ml_pipeline.loadgen.address import address_of
from ml_pipeline.loadgen.figures import Figures
from ml_pipeline.loadgen.network import UnreachableError, raise_file_limit, reach
from ml_pipeline.loadgen.order import ABANDONED, STOP, UNREACHABLE, Order
from ml_pipeline.loadgen.schedule import Schedule
from ml_pipeline.loadgen.sender import Sender
from ml_pipeline.loadgen.timer import best_timer
from ml_pipeline.ports.load import LoadReport

#: After so many requests at once the loop reads answers before it sends on.
_BATCH = 64
_SWEEP_S = 0.05


class Run:
    """One schedule, from its first request to the end of its last.

    Args:
        sender: gets each request when it is due.
        schedule: says when.
        figures: where the sender counts.
    """

    def __init__(self, sender: Sender, schedule: Schedule, figures: Figures) -> None:
        self._sender = sender
        self._schedule = schedule
        self._figures = figures
        self._next = 0
        self._end = schedule.requests
        self._timer = best_timer(asyncio.get_running_loop(), self._tick)
        self._start_s = 0.0

    def start(self) -> None:
        """Send the first request now, the others in their time."""
        self._start_s = time.monotonic()
        self._tick()

    def stop(self) -> None:
        """Send no more; what is under way may end."""
        self._end = self._next

    async def result(self) -> LoadReport:
        """What came back, once all planned requests have ended."""
        while self._next < self._end or self._figures.under_way:
            await asyncio.sleep(_SWEEP_S)
            self._sender.sweep()
            self._figures.fold(self._schedule.second(self._next))
        self._timer.close()
        await self._sender.close()
        return self._figures.report(self._sender.last_end_s - self._start_s)

    def _tick(self) -> None:
        for _ in range(_BATCH):
            if self._next >= self._end:
                return
            due_s = self._start_s + self._schedule.due_s(self._next)
            if due_s > time.monotonic():
                break
            second = self._schedule.second(self._next)
            self._sender.launch(self._next, second=second, planned_s=due_s)
            self._next += 1
        if self._next < self._end:
            self._timer.at(self._start_s + self._schedule.due_s(self._next))


class Requests:
    """Makes the bytes of each request: bodies in turn, ids that no other run uses.

    Args:
        head: request line and headers up to the value of `X-Request-Id`.
        bodies: at least one.
    """

    def __init__(self, head: bytes, bodies: Sequence[bytes]) -> None:
        self._begin = b"%s%s-" % (head, secrets.token_hex(8).encode())
        self._ends = [b"\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies]

    def __call__(self, number: int) -> bytes:
        return b"%s%d%s" % (self._begin, number, self._ends[number % len(self._ends)])


def say(**facts: str) -> None:
    """One line to whoever started this process."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def perform(order: Order) -> LoadReport:
    """Send what was ordered, until it is done or the caller says stop.

    Raises:
        UnreachableError: nothing listens there.
    """
    address = address_of(order.url, order.headers)
    connect = await reach(address, order.time_out_s)
    figures = Figures()
    sender = Sender(
        connect=connect,
        request=Requests(address.head, order.bodies),
        figures=figures,
        time_out_s=order.time_out_s,
        cap=raise_file_limit(),
    )
    run = Run(sender, Schedule(order.rate_per_s, order.duration_s), figures)
    _obey(run)
    # What lives now lives to the end: no later collection has to look at it.
    gc.collect()
    gc.freeze()
    run.start()
    say(state="started")
    return await run.result()


def _obey(run: Run) -> None:
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if os.read(sys.stdin.fileno(), len(STOP)):
            loop.remove_reader(sys.stdin.fileno())
            run.stop()
        else:
            # Nobody is left to read a report, and nobody wanted this traffic without a pipeline.
            os._exit(ABANDONED)

    loop.add_reader(sys.stdin.fileno(), heard)
    loop.add_signal_handler(signal.SIGTERM, run.stop)


def main() -> int:
    """Read an order, carry it out, write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", type=Path, required=True)
    file: Path = parser.parse_args().report
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stream:
        order = Order.read(stream)
    try:
        report = uvloop.run(perform(order))
    except UnreachableError as error:
        say(state="unreachable", why=str(error))
        return UNREACHABLE
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(report)), encoding="utf-8")
    new.replace(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
