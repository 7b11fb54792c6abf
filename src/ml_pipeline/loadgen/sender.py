"""Requests to connections: each leaves when it is due, whatever became of those before."""

import asyncio
import errno
import time
from collections import deque
from collections.abc import Awaitable, Callable

from ml_pipeline.loadgen.connection import Connection, Exchange, kind_of
from ml_pipeline.loadgen.figures import NOT_SENT, TIMED_OUT, Figures

#: A connection that idled longer is not used again: servers close theirs after 2 s (gunicorn), 5 s
#: (uvicorn, Node.js) or more, and a request sent in that moment would count as the server's error.
_REUSE_WITHIN_S = 1.0
#: What this machine says when it has no more connections to give.
_OWN_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})


class Sender:
    """Speaks `Listener`. Gives each request a connection of its own, opened when none is free.

    Args:
        connect: opens a connection.
        request: the bytes of a request, by its number.
        figures: where every request is counted.
        time_out_s: from the planned start of a request to its end as an error.
        cap: connections at most. Beyond it a request waits for one, which counts as the
            generator's lag; one that waits until its time-out is an error `not sent`.
    """

    def __init__(
        self,
        *,
        connect: Callable[[Connection], Awaitable[object]],
        request: Callable[[int], bytes],
        figures: Figures,
        time_out_s: float,
        cap: int,
    ) -> None:
        self._connect = connect
        self._request = request
        self._figures = figures
        self._time_out_s = time_out_s
        self._cap = cap
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[Exchange] = deque()
        self._under_way: deque[Exchange] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_end_s = 0.0

    def launch(self, number: int, *, second: int, planned_s: float) -> None:
        """Send a request that is due; returns at once.

        Args:
            number: which one.
            second: the second it is counted in.
            planned_s: when it was due, in terms of `time.monotonic`; calls come in this order.
        """
        self._figures.plan(second)
        exchange = Exchange(number, second, planned_s, planned_s + self._time_out_s)
        self._under_way.append(exchange)
        self._dispatch(exchange)

    def sweep(self) -> None:
        """End the requests whose time is over."""
        now_s = time.monotonic()
        while self._under_way and (
            self._under_way[0].ended or self._under_way[0].deadline_s <= now_s
        ):
            exchange = self._under_way.popleft()
            if exchange.ended:
                continue
            abandon, exchange.abandon = exchange.abandon, None
            if abandon is None:
                self._give_up(exchange)
            else:
                self._end(exchange, TIMED_OUT)
                abandon()

    async def close(self) -> None:
        """Close every connection; what is still under way is told to nobody."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()

    # What connections tell.

    def answered(self, exchange: Exchange, status: int, slot: str) -> None:
        self._end(exchange, "" if 200 <= status < 300 else f"http {status}", slot)

    def failed(self, exchange: Exchange, kind: str) -> None:
        self._end(exchange, kind)

    def free(self, connection: Connection) -> None:
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.ended:
                self._hand(exchange, connection)
                return
        connection.idle_since_s = time.monotonic()
        self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        while self._waiting and len(self._connections) < self._cap:
            exchange = self._waiting.popleft()
            if not exchange.ended:
                self._dispatch(exchange)

    # From due to on its way.

    def _dispatch(self, exchange: Exchange) -> None:
        now_s = time.monotonic()
        if now_s >= exchange.deadline_s:
            self._give_up(exchange)
        elif connection := self._reusable(now_s):
            self._hand(exchange, connection)
        elif len(self._connections) < self._cap:
            self._open(exchange)
        else:
            self._waiting.append(exchange)

    def _reusable(self, now_s: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.open and now_s - connection.idle_since_s <= _REUSE_WITHIN_S:
                return connection
            connection.abort()
        return None

    def _hand(self, exchange: Exchange, connection: Connection) -> None:
        connection.send(exchange, self._request(exchange.number))
        self._figures.left(time.monotonic() - exchange.planned_s)

    def _open(self, exchange: Exchange) -> None:
        connection = Connection(self)
        self._connections.add(connection)
        task = asyncio.get_running_loop().create_task(self._opened(exchange, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        exchange.abandon = task.cancel
        # From here on it is the server's time: how long it takes to accept a connection.
        self._figures.left(time.monotonic() - exchange.planned_s)

    async def _opened(self, exchange: Exchange, connection: Connection) -> None:
        try:
            await self._connect(connection)
        except OSError as error:
            own = error.errno in _OWN_LIMITS
            self._end(exchange, NOT_SENT if own else kind_of(error))
            self.closed(connection)
        except asyncio.CancelledError:
            connection.abort()
            self.closed(connection)
            raise
        else:
            connection.send(exchange, self._request(exchange.number))

    # Ends.

    def _give_up(self, exchange: Exchange) -> None:
        self._figures.left(time.monotonic() - exchange.planned_s)
        self._end(exchange, NOT_SENT)

    def _end(self, exchange: Exchange, error: str, slot: str = "") -> None:
        if exchange.ended:
            return
        exchange.ended = True
        exchange.abandon = None
        self.last_end_s = time.monotonic()
        latency_s = self.last_end_s - exchange.planned_s
        if latency_s >= self._time_out_s:
            latency_s = self._time_out_s
            error = error if error == NOT_SENT else TIMED_OUT
        self._figures.ended(exchange.second, latency_s, error, slot)
