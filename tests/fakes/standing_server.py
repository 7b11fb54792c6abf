"""A server that answers after a while, and once stands still; run as a program of its own.

`standing_server.py ANSWER_S STALL_AFTER_S STALL_S` prints its port. When its input ends it prints
what it saw, on the machine's monotonic clock: `stall` as [start, end], and `requests` as
[number from `X-Request-Id` or -1, arrived, answered].
"""

import asyncio
import json
import re
import sys
import threading
import time

import uvloop

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Model-Slot: champion\r\n"
    b'Content-Length: 22\r\n\r\n{"predictions":[12.3]}'
)
_NUMBER = re.compile(rb"x-request-id: [^\r]*?(\d+)\r", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: (\d+)\r", re.IGNORECASE)


class Records:
    """What the server saw; stands still a while after its first request."""

    def __init__(self, answer_s: float, stall_after_s: float, stall_s: float) -> None:
        self.answer_s = answer_s
        self._stall_after_s = stall_after_s
        self._stall_s = stall_s
        self.stall: list[float] = []
        self.requests: list[tuple[int, float, float]] = []
        self._begun = False

    def begin(self) -> None:
        if not self._begun:
            self._begun = True
            asyncio.get_running_loop().call_later(self._stall_after_s, self._stand_still)

    def _stand_still(self) -> None:
        self.stall.append(time.monotonic())
        threading.Event().wait(self._stall_s)
        self.stall.append(time.monotonic())


class Conversation(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._data = b""

    def connection_made(self, transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r")
        wanted = int(length[1]) if length else 0
        if end and len(rest) >= wanted:
            self._data = rest[wanted:]
            self._records.begin()
            found = _NUMBER.search(head + b"\r")
            number = int(found[1]) if found else -1
            loop = asyncio.get_running_loop()
            loop.call_later(self._records.answer_s, self._answer, number, time.monotonic())

    def _answer(self, number: int, arrived_s: float) -> None:
        self._records.requests.append((number, arrived_s, time.monotonic()))
        self._transport.write(ANSWER)


async def main() -> None:
    records = Records(*map(float, sys.argv[1:]))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(records), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    json.dump({"stall": records.stall, "requests": records.requests}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
