"""The router process: `python -m ml_pipeline.localplatform.router`.

Reads the state itself, at the start and whenever a line comes in; says `applied <generation>`
on its standard output. The end of its standard input is the end of the supervisor, and its own.
"""

import argparse
import asyncio
import gc
import logging
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvloop
from aiohttp import web

from ml_pipeline.localplatform.child import until_parent_ends
from ml_pipeline.localplatform.clock import wall_s
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.proxy import Proxy, RouterOptions
from ml_pipeline.localplatform.records import Snapshot
from ml_pipeline.localplatform.store import Store
from ml_pipeline.localplatform.traffic import KEPT_S, Recorder, TrafficStore

log = logging.getLogger("ml_pipeline.router")
#: How often traffic is written, and the lease looked at, in seconds.
FLUSH_S, LEASE_S = 0.25, 0.1
#: Flushes after which `through` is written although there was no traffic (1 s), and after which
#: what is older than an hour is dropped (1 minute).
IDLE_FLUSHES, FORGET_FLUSHES = 4, 240


def in_force(snapshot: Snapshot, now_s: float) -> Snapshot:
    """The state to route by: with the fallback's weights as soon as the lease has run out."""
    lease = snapshot.lease
    if lease is None or not lease.due(now_s):
        return snapshot
    return replace(snapshot, weights=lease.fallback, lease=lease.expired())


class Router:
    """Keeps the proxy on the newest state, enforces the lease, writes what was recorded."""

    def __init__(self, folder: Folder, options: RouterOptions) -> None:
        self._store = Store(folder.database)
        self._ledger = Store(folder.database)  # of its own: written from another thread
        self._traffic = TrafficStore(folder.traffic)
        self._recorder = Recorder(wall_s)
        self._snapshot = self._store.snapshot()
        self.proxy = Proxy(options, self._recorder)

    def reload(self) -> None:
        """Route by what the state says now."""
        self._snapshot = self._store.snapshot()
        self.proxy.apply(in_force(self._snapshot, wall_s()))
        print("applied", self._snapshot.generation, flush=True)  # noqa: T201 - the supervisor reads it

    async def guard_lease(self, stop: asyncio.Event) -> None:
        """End a lease that ran out, first here and then in the state, whatever else hangs."""
        while not await _set_within(stop, LEASE_S):
            lease = self._snapshot.lease
            if lease is None or not lease.due(wall_s()):
                continue
            self.proxy.apply(in_force(self._snapshot, wall_s()))
            try:
                # It may have been renewed, or ended by the supervisor, a moment ago.
                await asyncio.to_thread(self._ledger.expire, wall_s())
                self.reload()
            except sqlite3.Error:
                log.exception("the lease ran out, and the state cannot be used; trying again")

    async def keep_records(self, stop: asyncio.Event) -> None:
        """Write what was recorded; what could not be written is kept and tried again."""
        flushes = 0
        while not await _set_within(stop, FLUSH_S):
            flushes += 1
            chunks, through_s = self._recorder.take()
            if not chunks and flushes % IDLE_FLUSHES:
                continue
            try:
                await asyncio.to_thread(self._traffic.write, chunks, through_s)
                self._recorder.written()
                if flushes % FORGET_FLUSHES == 0:
                    await asyncio.to_thread(self._traffic.forget, through_s - KEPT_S)
            except sqlite3.Error:
                log.exception("traffic could not be written; trying again")

    def close(self) -> None:
        """Write the rest and close the files."""
        self._traffic.write(*self._recorder.take())
        for one in (self._store, self._ledger, self._traffic):
            one.close()


async def _set_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def _listen_to_supervisor(loop: asyncio.AbstractEventLoop, reload: Callable[[], None]) -> None:
    def poked() -> None:
        loop.call_soon_threadsafe(reload)

    def lines() -> None:
        until_parent_ends(poked)

    threading.Thread(target=lines, name="supervisor", daemon=True).start()


async def _serve(folder: Folder, listener: socket.socket, options: RouterOptions) -> None:
    router = Router(folder, options)
    runner = web.AppRunner(
        router.proxy.application(),
        access_log=None,
        shutdown_timeout=5.0,
        keepalive_timeout=75.0,
        lingering_time=2.0,
    )
    await runner.setup()
    router.reload()
    await web.SockSite(runner, listener, backlog=1024).start()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    _listen_to_supervisor(loop, router.reload)
    gc.freeze()  # what is alive now stays alive: full collections need not look at it
    try:
        # A task of these that fails is a bug: the process ends, and the supervisor starts anew.
        async with asyncio.TaskGroup() as work:
            work.create_task(router.guard_lease(stop))
            work.create_task(router.keep_records(stop))
    finally:
        await runner.cleanup()
        router.close()


def main(argv: list[str] | None = None) -> None:
    """Serve until told to stop, or until the supervisor is gone."""
    parser = argparse.ArgumentParser(prog="router")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--sticky-header", default="")
    parser.add_argument("--time-out-s", type=float, required=True)
    parser.add_argument("--max-body-bytes", type=int, required=True)
    asked = parser.parse_args(argv)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    options = RouterOptions(
        sticky_header=asked.sticky_header,
        time_out_s=asked.time_out_s,
        max_body_bytes=asked.max_body_bytes,
    )
    uvloop.run(_serve(Folder(asked.state), socket.socket(fileno=asked.fd), options))


if __name__ == "__main__":
    main()
