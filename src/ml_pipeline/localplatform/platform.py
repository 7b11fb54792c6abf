"""One platform as its supervisor sees it: state, processes, lease, idleness."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from ml_pipeline.localplatform.backoff import Backoff
from ml_pipeline.localplatform.clock import wall_s
from ml_pipeline.localplatform.fleet import DeploymentWish, Fleet
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.keeper import Keeper
from ml_pipeline.localplatform.lease import Lease
from ml_pipeline.localplatform.programs import RouterProgram
from ml_pipeline.localplatform.proxy import RouterOptions
from ml_pipeline.localplatform.records import Endpoint, Phase, Snapshot
from ml_pipeline.localplatform.store import Store

log = logging.getLogger("ml_pipeline.platform")
#: How often the lease and idleness are looked at, and how long the router may take to apply.
TICK_S, APPLY_LIMIT_S = 0.25, 10.0
#: How long a start waits for the deployments that get traffic.
SETTLE_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOptions:
    """How a platform runs.

    `idle_stop_s`: a platform started for a run stops after so long without an admin call, a
    lease, or anything that needs it. `server`: see `programs.server_command`.
    """

    port: int
    host: str = "127.0.0.1"
    for_run: bool = False
    idle_stop_s: float = 600.0
    server: str = "ml_pipeline.serving.server"
    router: RouterOptions = field(default_factory=RouterOptions)


class Platform:
    """Everything the admin API offers, and what goes on by itself."""

    def __init__(
        self, folder: Folder, store: Store, listener: socket.socket, options: PlatformOptions
    ) -> None:
        self.folder = folder
        self.store = store
        self.token = secrets.token_urlsafe(32)
        self.for_run = options.for_run
        self.public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.started_s = wall_s()
        self._last_call_s = wall_s()
        self.stopping = asyncio.Event()
        self._idle_stop_s = options.idle_stop_s
        self._router = RouterProgram(folder, listener.fileno(), options.router, self._router_fared)
        self._router_keeper = Keeper(self._router, folder.logs / "router.log", Backoff(limit=None))
        self.fleet = Fleet(folder, store, options.server, self._router.poke)

    def _router_fared(self, phase: Phase, _port: int | None, reason: str) -> None:
        if phase is Phase.RESTARTING:
            self.store.note("router-restarting", wall_s(), {"reason": reason})

    async def start(self) -> None:
        """Bring up the router, and the deployments as they were.

        Raises:
            PlatformUnavailableError: the router does not come up.
        """
        self.store.expire(wall_s())
        self.store.note("platform-started", wall_s(), {"for_run": self.for_run})
        self.fleet.start()
        self._router_keeper.start()
        await self._router.applied(0, SETTLE_LIMIT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_LIMIT_S):
                while not self._settled(self.store.snapshot()):  # noqa: ASYNC110 - a short wait
                    await asyncio.sleep(0.05)

    @staticmethod
    def _settled(now: Snapshot) -> bool:
        wanted = [one for one in now.deployments if now.weights.get(one.slot, 0) > 0]
        return all(
            one.phase in {Phase.HEALTHY, Phase.FAILED}
            for one in wanted
            if one.endpoint is Endpoint.PRODUCTION
        )

    async def stop(self) -> None:
        """End the children, router first; the state stays."""
        await self._router_keeper.stop()
        await self.fleet.stop()
        with contextlib.suppress(sqlite3.Error):
            self.store.note("platform-stopped", wall_s(), {})

    async def tick_for_ever(self) -> None:
        """End leases that ran out, should the router not have; stop when nobody needs us."""
        while not self.stopping.is_set():
            try:
                self._tick()
            except sqlite3.Error:  # such as a full disk: what serves goes on serving
                log.exception("the state could not be used; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self.stopping.wait()

    def _tick(self) -> None:
        if self.store.expire(wall_s()):
            self._router.poke()
        if self.for_run and self._idle():
            log.warning("nobody asked for this platform for %g s: it stops", self._idle_stop_s)
            self.stopping.set()

    def touch(self) -> None:
        """Somebody asked for this platform."""
        self._last_call_s = wall_s()

    def _idle(self) -> bool:
        lease = self.store.snapshot().lease
        leased = lease is not None and lease.held()
        return not leased and wall_s() - self._last_call_s > self._idle_stop_s

    async def deploy(self, wish: DeploymentWish) -> None:
        """See `Fleet.deploy`; the router knows the slot afterwards."""
        await self.fleet.deploy(wish)
        await self._applied()

    async def remove(self, endpoint: Endpoint, slot: str) -> None:
        """See `Fleet.remove`."""
        await self.fleet.remove(endpoint, slot)
        await self._applied()

    async def set_weights(self, weights: Mapping[str, object], run_id: str | None) -> None:
        """See `Store.set_weights`; in force afterwards."""
        self.store.set_weights(weights, run_id, wall_s())
        await self._applied()

    async def hold(self, run_id: str, fallback: Mapping[str, int], lease_s: float) -> None:
        """See `Store.hold`; the router enforces it afterwards."""
        now_s = wall_s()
        lease = Lease(run_id=run_id, fallback=fallback, lease_s=lease_s, deadline_s=now_s + lease_s)
        self.store.hold(lease, now_s)
        await self._applied()

    async def renew(self, run_id: str) -> None:
        """See `Store.renew`; the router knows the new deadline afterwards."""
        self.store.renew(run_id, wall_s())
        await self._applied()

    async def commit(self, run_id: str) -> None:
        """See `Store.commit`."""
        self.store.commit(run_id, wall_s())
        await self._applied()

    async def _applied(self) -> None:
        await self._router.applied(self.store.snapshot().generation, APPLY_LIMIT_S)

    def pids(self) -> dict[str, object]:
        """Process ids of the platform, None for one that is between two lives."""
        return {
            "supervisor": os.getpid(),
            "router": self._router_keeper.pid,
            **self.fleet.pids(),
        }
