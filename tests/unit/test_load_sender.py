"""Requests to connections, in one process with the server: the cap and the ends."""

import asyncio
import time

import pytest

from ml_pipeline.loadgen.figures import Figures
from ml_pipeline.loadgen.sender import Sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers when told to; `open` counts connections."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.world.connections += 1

    def data_received(self, data) -> None:
        self.world.requests.append(data)
        if self.world.silent:
            self.world.unanswered.append(self.transport)
        else:
            self.transport.write(OK)


class World:
    """A server and a sender with at most `cap` connections to it."""

    def __init__(self, *, silent=False) -> None:
        self.silent = silent
        self.connections = 0
        self.requests: list[bytes] = []
        self.unanswered: list[asyncio.Transport] = []
        self.figures = Figures()

    async def start(self, *, cap, time_out_s=60.0, connect=None) -> Sender:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Server(self), "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.sender = Sender(
            connect=connect
            or (lambda protocol: loop.create_connection(lambda: protocol, "127.0.0.1", port)),
            request=lambda n: b"POST / HTTP/1.1\r\nX-Request-Id: %d\r\n\r\n" % n,
            figures=self.figures,
            time_out_s=time_out_s,
            cap=cap,
        )
        return self.sender

    async def until(self, question, *, sweep=True) -> None:
        async with asyncio.timeout(60):
            while not question():
                await asyncio.sleep(0.005)
                if sweep:
                    self.sender.sweep()

    async def end(self):
        await self.until(lambda: not self.figures.under_way)
        await self.sender.close()
        self.server.close()
        await self.server.wait_closed()
        return self.figures.report(1.0)


def test_connections_are_opened_only_when_none_is_free():
    async def scene():
        world = World()
        sender = await world.start(cap=10)
        for number in range(3):
            sender.launch(number, second=0, planned_s=time.monotonic())
            await world.until(lambda: not world.figures.under_way)
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert (world.connections, len(world.requests), report.errors) == (1, 3, 0)


def test_each_request_under_way_has_a_connection_of_its_own():
    async def scene():
        world = World(silent=True)
        sender = await world.start(cap=10)
        for number in range(7):
            sender.launch(number, second=0, planned_s=time.monotonic())
        await world.until(lambda: len(world.unanswered) == 7)
        for transport in world.unanswered:
            transport.write(OK)
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert (world.connections, report.sent, report.errors) == (7, 7, 0)


def test_beyond_the_cap_requests_wait_their_turn_and_that_is_our_lag():
    async def scene():
        world = World(silent=True)
        sender = await world.start(cap=2)
        for number in range(4):
            sender.launch(number, second=0, planned_s=time.monotonic())
        await world.until(lambda: len(world.unanswered) == 2)
        await asyncio.sleep(0.2)
        world.silent = False
        for transport in world.unanswered:
            transport.write(OK)
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert (world.connections, report.sent, report.errors) == (2, 4, 0)
    assert report.lag_p99_ms >= 200


def test_what_waits_beyond_the_cap_until_its_time_out_is_an_error_not_silence():
    async def scene():
        world = World(silent=True)
        sender = await world.start(cap=2, time_out_s=0.3)
        for number in range(5):
            sender.launch(number, second=0, planned_s=time.monotonic())
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert dict(report.errors_by_kind) == {"timed out": 2, "not sent": 3}
    assert (report.planned, report.sent, len(world.requests)) == (5, 2, 2)
    assert report.max_ms == pytest.approx(300)
    assert report.lag_p99_ms >= 299


def test_a_request_whose_time_is_over_before_it_is_sent_is_not_sent():
    async def scene():
        world = World()
        sender = await world.start(cap=2, time_out_s=0.5)
        sender.launch(0, second=0, planned_s=time.monotonic() - 1)
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert report.errors_by_kind == (("not sent", 1),)
    assert not world.requests


def test_a_connection_that_never_opens_is_a_time_out():
    async def never(_):
        await asyncio.Event().wait()

    async def scene():
        world = World()
        sender = await world.start(cap=2, time_out_s=0.1, connect=never)
        for number in range(3):
            sender.launch(number, second=0, planned_s=time.monotonic())
        return await world.end()

    report = asyncio.run(scene())
    assert dict(report.errors_by_kind) == {"timed out": 2, "not sent": 1}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(24, "Too many open files"), "not sent"),
        (OSError(99, "Cannot assign requested address"), "not sent"),
        (OSError(113, "No route to host"), "No route to host"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
    ],
)
def test_what_this_machine_cannot_do_is_not_the_servers_error(error, kind):
    async def fail(_):
        raise error

    async def scene():
        world = World()
        sender = await world.start(cap=1, connect=fail)
        for number in range(3):
            sender.launch(number, second=0, planned_s=time.monotonic())
        return await world.end()

    assert asyncio.run(scene()).errors_by_kind == ((kind, 3),)


def test_a_connection_that_closed_before_its_request_left_is_an_error_at_once():
    """Without a word it would only be one after its time-out, an hour later."""

    async def closed_already(protocol):
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol, "127.0.0.1", port
        )
        lost = asyncio.Event()
        tell, protocol.connection_lost = protocol.connection_lost, lambda _: lost.set()
        transport.abort()
        await lost.wait()
        tell(None)

    async def scene():
        nonlocal port
        world = World()
        sender = await world.start(cap=2, time_out_s=3600, connect=closed_already)
        port = world.server.sockets[0].getsockname()[1]
        sender.launch(0, second=0, planned_s=time.monotonic())
        return await world.end()

    port = 0
    assert asyncio.run(scene()).errors_by_kind == (("connection closed", 1),)


def test_a_connection_that_idled_is_not_used_again(monkeypatch):
    monkeypatch.setattr("ml_pipeline.loadgen.sender._REUSE_WITHIN_S", 0.0)

    async def scene():
        world = World()
        sender = await world.start(cap=2)
        for number in range(3):
            sender.launch(number, second=0, planned_s=time.monotonic())
            await world.until(lambda: not world.figures.under_way)
        return world, await world.end()

    world, report = asyncio.run(scene())
    assert (world.connections, report.errors) == (3, 0)


def test_an_answer_that_comes_after_its_time_counts_as_timed_out():
    """Nobody swept in between: the answer itself finds that it is late."""

    async def scene():
        world = World(silent=True)
        sender = await world.start(cap=2, time_out_s=0.2)
        sender.launch(0, second=0, planned_s=time.monotonic())
        await world.until(lambda: world.unanswered, sweep=False)
        await asyncio.sleep(0.25)
        world.unanswered[0].write(OK)
        await world.until(lambda: not world.figures.under_way, sweep=False)
        return await world.end()

    report = asyncio.run(scene())
    assert report.errors_by_kind == (("timed out", 1),)
    assert report.max_ms == pytest.approx(200)
