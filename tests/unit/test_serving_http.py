"""The HTTP server on raw connections: what clients may send, in order or not."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ml_pipeline.serving.http import HttpServer, Request, Response

BODY_BYTES = 1000
LONG_S = 60


class Conversation:
    """One raw connection to a server of this test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        return int(first.split()[1]), headers, await self.reader.readexactly(length)

    async def ended(self) -> bool:
        """Whether the server closed, with nothing more to read."""
        return await self.reader.read() == b""


Talk = Callable[[Conversation, HttpServer], Awaitable[None]]


def echo(request: Request) -> Response | Awaitable[Response]:
    """What was asked comes back; /later only after two turns of the loop, /bug never."""
    if request.path == "/bug":
        raise RuntimeError("a bug")
    said = f"{request.method} {request.path} {request.content_type} ".encode() + request.body
    response = Response(200, said, b"text/plain")
    return later(response, request) if request.path.startswith("/later") else response


async def later(response: Response, request: Request) -> Response:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if request.path == "/later/bug":
        raise RuntimeError("a bug")
    return response


def converse(talk: Talk, handler=echo) -> None:
    """Run `talk` on a connection to a fresh server."""

    async def run() -> None:
        def refusal(status: int, message: str) -> Response:
            return Response(status, message.encode())

        server = HttpServer(handler, body_bytes=BODY_BYTES, refusal=refusal)
        port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(LONG_S):
                await talk(Conversation(reader, writer), server)
        finally:
            writer.close()
            await server.drain(0)
            await asyncio.sleep(0)

    asyncio.run(run())


async def until(holds: Callable[[], object]) -> None:
    """Wait for what the other side of a connection brings about."""
    while not holds():  # noqa: ASYNC110 - the other side knows of no event here
        await asyncio.sleep(0.01)


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_connection_is_kept_for_the_next_request():
    async def talk(it, server):
        for turn in (1, 2, 3):
            it.say(post(f"/{turn}?query", b"body", "Content-Type: Text/CSV"))
            status, headers, body = await it.answer()
            assert (status, body) == (200, f"POST /{turn} text/csv body".encode())
            assert "connection" not in headers

    converse(talk)


def test_requests_sent_at_once_are_answered_in_their_order():
    async def talk(it, server):
        paths = ["/a", "/later/b", "/c", "/later/d", "/e"] * 20
        it.say(b"".join(map(get, paths)))
        for path in paths:
            assert (await it.answer())[2] == f"GET {path}  ".encode()

    converse(talk)


def test_a_request_may_arrive_byte_by_byte():
    async def talk(it, server):
        for byte in post("/slow", b"body"):
            it.say(bytes([byte]))
            await it.writer.drain()
            await asyncio.sleep(0)
        assert (await it.answer())[2] == b"POST /slow  body"

    converse(talk)


def test_a_body_may_come_in_chunks():
    async def talk(it, server):
        it.say(b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        it.say(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await it.answer())[2] == b"POST /c  abcde"

    converse(talk)


def test_a_client_that_asks_first_is_told_to_go_on():
    async def talk(it, server):
        head, _, body = post("/x", b"body", "Expect: 100-continue").partition(b"\r\n\r\n")
        it.say(head + b"\r\n\r\n")
        assert await it.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        it.say(body)
        assert (await it.answer())[0] == 200

    converse(talk)


def test_a_head_request_gets_no_body():
    async def talk(it, server):
        it.say(get("/x").replace(b"GET", b"HEAD") + get("/y"))
        head = await it.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 9" in head
        assert (await it.answer())[2] == b"GET /y  "

    converse(talk)


@pytest.mark.parametrize("first", [get("/x", "Connection: close"), b"GET /x HTTP/1.0\r\n\r\n"])
def test_a_client_that_will_not_stay_is_let_go(first):
    async def talk(it, server):
        it.say(first)
        _, headers, body = await it.answer()
        assert headers["connection"] == "close"
        assert body == b"GET /x  "
        assert await it.ended()

    converse(talk)


def test_a_client_that_asks_for_another_protocol_is_answered_in_this_one():
    async def talk(it, server):
        it.say(get("/x", "Connection: Upgrade", "Upgrade: websocket"))
        _, headers, body = await it.answer()
        assert (body, headers["connection"]) == (b"GET /x  ", "close")
        assert await it.ended()

    converse(talk)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"how do you do\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (post("/x", b"0\r\n\r\n", "Transfer-Encoding: chunked"), 400),
        (post("/x", b"", "Expect: 100-continue").replace(b": 0", b": 1001"), 413),
        (post("/x", b"x" * (BODY_BYTES + 1)), 413),
        (
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n"
            + b"x" * 2000,
            413,
        ),
        (get("/x", "X: " + "x" * 40_000), 431),
        (get("/" + "x" * 40_000), 431),
    ],
)
def test_what_cannot_be_taken_is_answered_once_and_the_connection_closed(said, status):
    async def talk(it, server):
        it.say(said)
        found, headers, _ = await it.answer()
        assert found == status
        assert headers["connection"] == "close"
        assert await it.ended()

    converse(talk)


def test_answers_due_before_a_refusal_come_first():
    async def talk(it, server):
        it.say(get("/later/a") + get("/b") + b"nonsense\r\n\r\n")
        assert (await it.answer())[2] == b"GET /later/a  "
        assert (await it.answer())[2] == b"GET /b  "
        assert (await it.answer())[0] == 400

    converse(talk)


@pytest.mark.parametrize("path", ["/bug", "/later/bug"])
def test_a_bug_answers_500_and_the_connection_lives(path):
    async def talk(it, server):
        it.say(get(path) + get("/x"))
        assert (await it.answer())[0] == 500
        assert (await it.answer())[0] == 200

    converse(talk)


def test_draining_answers_what_is_under_way_and_closes():
    async def run() -> None:
        gate = asyncio.Event()
        entered = asyncio.Event()

        async def wait(request: Request) -> Response:
            entered.set()
            await gate.wait()
            return Response(200, b"done")

        async def talk(it, server):
            it.say(get("/x"))
            await entered.wait()
            draining = asyncio.create_task(server.drain(LONG_S))
            await until(lambda: server.draining)
            gate.set()
            status, headers, body = await it.answer()
            assert (status, body, headers["connection"]) == (200, b"done", "close")
            assert await it.ended()
            await draining

        server = HttpServer(wait, body_bytes=10, refusal=lambda status, _: Response(status, b""))
        port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(LONG_S):
            await talk(Conversation(reader, writer), server)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(run())


def test_draining_closes_connections_that_wait_for_nothing():
    async def talk(it, server):
        it.say(get("/x"))
        await it.answer()
        await server.drain(LONG_S)
        assert await it.ended()

    converse(talk)


def test_draining_ends_after_its_time_limit():
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def talk(it, server):
        it.say(get("/x"))
        await until(lambda: any(one._task for one in server.connections))
        await server.drain(0.05)
        assert not server.connections or await it.ended()

    converse(talk, never)


def test_a_request_that_never_becomes_whole_is_given_up():
    async def talk(it, server):
        it.say(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
        await until(lambda: any(one._partial and one._body for one in server.connections))
        for connection in server.connections:
            connection._since -= 31
            connection.end_if_stale()
        assert (await it.answer())[0] == 408
        assert await it.ended()

    converse(talk)


def test_a_connection_nobody_uses_is_closed_and_one_in_use_is_not():
    async def talk(it, server):
        it.say(get("/x"))
        await it.answer()
        (connection,) = server.connections
        connection.end_if_stale()
        assert not connection._transport.is_closing()
        connection._since -= 601
        connection.end_if_stale()
        assert await it.ended()

    converse(talk)


def test_a_client_that_reads_nothing_stops_being_read():
    async def talk(it, server):
        await until(lambda: server.connections)
        (connection,) = server.connections
        connection.pause_writing()
        assert not connection._transport.is_reading()
        connection.resume_writing()
        assert connection._transport.is_reading()
        it.say(get("/x"))
        assert (await it.answer())[0] == 200

    converse(talk)
