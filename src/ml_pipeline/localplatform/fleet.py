"""The model servers of one platform: which run, and their copies of the packages."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.domain.chaos import parse_chaos
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.localplatform.backoff import Backoff
from ml_pipeline.localplatform.clock import wall_s
from ml_pipeline.localplatform.folder import Folder
from ml_pipeline.localplatform.keeper import Keeper
from ml_pipeline.localplatform.programs import ModelServer
from ml_pipeline.localplatform.records import DeploymentRecord, Endpoint, Phase, checked_name
from ml_pipeline.localplatform.store import Store
from ml_pipeline.serving.package import package_digest

#: Crashes within a minute after which a deployment is given up.
CRASH_LIMIT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentWish:
    """What somebody wants deployed; `package` is their folder, which may vanish afterwards."""

    endpoint: Endpoint
    slot: str
    model: str
    version: str
    digest: str
    package: Path
    chaos: str
    trusted_types: tuple[str, ...] = ()

    def met_by(self, record: DeploymentRecord | None) -> bool:
        """Whether that deployment is this one, its drill apart."""
        same = self.model, self.version, self.digest, self.trusted_types
        return record is not None and same == (
            record.model,
            record.version,
            record.digest,
            record.trusted_types,
        )


class Fleet:
    """Starts and stops model servers as deployments come and go.

    Args:
        folder: the platform's state folder.
        store: its state.
        server: what serves a package; see `programs.server_command`.
        changed: called after a deployment's process fared differently.
    """

    def __init__(
        self, folder: Folder, store: Store, server: str, changed: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._store = store
        self._server = server
        self._changed = changed
        self._keepers: dict[tuple[Endpoint, str], Keeper] = {}
        self._one_at_a_time = asyncio.Lock()

    def start(self) -> None:
        """Start what the state says is deployed, and drop copies of what is not."""
        self._store.moved_to(self._folder.deployments)
        records = self._store.snapshot().deployments
        wanted = {one.package for one in records}
        for copy in self._folder.deployments.iterdir():
            if str(copy) not in wanted:
                shutil.rmtree(copy, ignore_errors=True)
        for record in records:
            self._store.fared(record.key, Phase.STARTING, port=None, reason="")
            self._keep(record)

    async def stop(self) -> None:
        """Stop all model servers; they stay deployed."""
        await asyncio.gather(*(one.stop() for one in self._keepers.values()))

    def pids(self) -> dict[str, int | None]:
        """Process ids by endpoint and slot."""
        return {f"{endpoint}/{slot}": one.pid for (endpoint, slot), one in self._keepers.items()}

    async def deploy(self, wish: DeploymentWish) -> None:
        """Start a deployment in its slot; the same again only restarts what was given up.

        A slot that gets traffic keeps the drill it has.

        Raises:
            ConfigurationError: there is no such drill.
            PlatformRefusedError: what is in the slot gets traffic, or there is no such package.
        """
        checked_name("slot", wish.slot)
        checked_name("version", wish.version)
        parse_chaos(wish.chaos)
        async with self._one_at_a_time:
            now = self._store.snapshot()
            there = now.find(wish.endpoint, wish.slot)
            serves = wish.endpoint is Endpoint.PRODUCTION and now.serving(wish.slot)
            if there is not None and wish.met_by(there) and (serves or wish.chaos == there.chaos):
                if there.phase is Phase.FAILED:
                    await self._mend(there, wish)
                    self._keep(there)
                return
            if serves:
                raise PlatformRefusedError(
                    f"slot {wish.slot} gets traffic, so it cannot be replaced",
                    remedy="Move its traffic to another slot first.",
                )
            record = await self._copied(wish)
            try:
                self._store.deploy(record)
            except PlatformRefusedError:
                await self._discard(record)
                raise
            await self._stop(record.key)
            if there is not None:
                await self._discard(there)
            self._keep(record)

    async def remove(self, endpoint: Endpoint, slot: str) -> None:
        """Take a deployment away; not an error when there is none.

        Raises:
            PlatformRefusedError: it gets traffic.
        """
        async with self._one_at_a_time:
            gone = self._store.remove(endpoint, slot, wall_s())
            await self._stop((endpoint, slot))
            if gone is not None:
                await self._discard(gone)

    async def _copied(self, wish: DeploymentWish) -> DeploymentRecord:
        if not wish.package.is_dir():
            raise PlatformRefusedError(
                f"there is no package folder {wish.package}", remedy="Package the model first."
            )
        name = f"{wish.endpoint}-{wish.slot}-{wish.version}-{secrets.token_hex(4)}"
        part = self._folder.deployments / name
        await asyncio.to_thread(shutil.copytree, wish.package, part)
        copy = await asyncio.to_thread(_sealed, part)
        return DeploymentRecord(
            endpoint=wish.endpoint,
            slot=wish.slot,
            model=wish.model,
            version=wish.version,
            digest=wish.digest,
            package=str(copy),
            chaos=wish.chaos,
            trusted_types=wish.trusted_types,
            since_s=wall_s(),
        )

    async def _mend(self, record: DeploymentRecord, wish: DeploymentWish) -> None:
        """Make a copy whole again that was lost or damaged, as far as there is a package."""
        if wish.package.is_dir():
            await self._discard(record)
            await asyncio.to_thread(shutil.copytree, wish.package, record.package)

    async def _discard(self, record: DeploymentRecord) -> None:
        await asyncio.to_thread(shutil.rmtree, record.package, ignore_errors=True)

    async def _stop(self, key: tuple[Endpoint, str]) -> None:
        keeper = self._keepers.pop(key, None)
        if keeper is not None:
            await keeper.stop()

    def _keep(self, record: DeploymentRecord) -> None:
        def changed(phase: Phase, port: int | None, reason: str) -> None:
            if self._keepers.get(record.key) is not keeper:
                return  # another deployment is in the slot by now
            self._store.fared(record.key, phase, port=port, reason=reason)
            if phase in {Phase.RESTARTING, Phase.FAILED}:
                detail = {"endpoint": record.endpoint, "slot": record.slot, "reason": reason}
                self._store.note(f"deployment-{phase}", wall_s(), detail)
            self._changed()

        program = ModelServer(record, self._folder, self._server, changed)
        log = self._folder.logs / f"{program.name}.log"
        keeper = Keeper(program, log, Backoff(limit=CRASH_LIMIT))
        self._keepers[record.key] = keeper
        keeper.start()


def _sealed(copy: Path) -> Path:
    """The copy under a name that ends in its manifest's digest, which each start is held to."""
    try:
        digest = package_digest(copy)
    except DataError:  # its model server says why, where `status` and the log show it
        return copy
    return copy.rename(copy.with_name(f"{copy.name}-{digest}"))
