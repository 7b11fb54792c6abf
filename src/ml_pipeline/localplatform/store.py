"""The platform's state: what survives a `kill -9` of every process."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.traffic import checked_weights
from ml_pipeline.localplatform.database import Database
from ml_pipeline.localplatform.lease import Lease, LeaseState, take
from ml_pipeline.localplatform.records import DeploymentRecord, Endpoint, Phase, Snapshot


class Store(Database):
    """State of one platform; each method is one transaction.

    Supervisor and router each have their own. An expired lease is ended by whoever sees it
    first, which the transaction decides.
    """

    def snapshot(self) -> Snapshot:
        """Everything, as of one moment."""
        self._db.execute("BEGIN")
        try:
            return self._read()
        finally:
            self._db.execute("COMMIT")

    def _read(self) -> Snapshot:
        rows = self._db.execute("SELECT * FROM deployments ORDER BY endpoint, since_s, slot")
        weights = self._db.execute("SELECT slot, share FROM weights ORDER BY slot")
        return Snapshot(
            generation=int(self.meta("generation") or 0),
            deployments=tuple(_deployment(row) for row in rows),
            weights={row["slot"]: row["share"] for row in weights},
            lease=self._lease(),
        )

    def _lease(self) -> Lease | None:
        row = self._db.execute("SELECT * FROM lease").fetchone()
        if row is None:
            return None
        return Lease(
            run_id=row["run_id"],
            fallback=json.loads(row["fallback"]),
            lease_s=row["lease_s"],
            deadline_s=row["deadline_s"],
            state=LeaseState(row["state"]),
        )

    def deploy(self, record: DeploymentRecord) -> None:
        """Put a deployment in its slot, whatever was there.

        Raises:
            PlatformRefusedError: what was there gets traffic.
        """
        with self._writing():
            self._idle(record.endpoint, record.slot, "replaced")
            columns = {**asdict(record), "trusted_types": json.dumps(record.trusted_types)}
            marks = ", ".join(f":{name}" for name in columns)
            self._db.execute(
                f"REPLACE INTO deployments ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
                columns,
            )
            self._note("deployed", record.since_s, _named(record))
            self._changed()

    def moved_to(self, folder: Path) -> None:
        """Look for the platform's own copies in `folder`: a project's folder may be moved."""
        with self._writing():
            for one in self._read().deployments:
                self._db.execute(
                    "UPDATE deployments SET package = ? WHERE endpoint = ? AND slot = ?",
                    (str(folder / Path(one.package).name), *one.key),
                )

    def remove(self, endpoint: Endpoint, slot: str, now_s: float) -> DeploymentRecord | None:
        """Take a deployment away; None when there was none.

        Raises:
            PlatformRefusedError: it gets traffic.
        """
        with self._writing():
            self._idle(endpoint, slot, "removed")
            gone = self._read().find(endpoint, slot)
            if gone is None:
                return None
            self._db.execute(
                "DELETE FROM deployments WHERE endpoint = ? AND slot = ?", (endpoint, slot)
            )
            if endpoint is Endpoint.PRODUCTION:
                self._db.execute("DELETE FROM weights WHERE slot = ?", (slot,))
            self._note("removed", now_s, _named(gone))
            self._changed()
        return gone

    def _idle(self, endpoint: Endpoint, slot: str, done: str) -> None:
        if endpoint is Endpoint.PRODUCTION and self._read().serving(slot):
            raise PlatformRefusedError(
                f"slot {slot} gets traffic, so it cannot be {done}",
                remedy="Move its traffic to another slot first.",
            )

    def fared(
        self, key: tuple[Endpoint, str], phase: Phase, *, port: int | None, reason: str
    ) -> None:
        """Keep how a deployment's process fares now."""
        with self._writing():
            self._db.execute(
                "UPDATE deployments SET phase = ?, port = ?, reason = ? "
                "WHERE endpoint = ? AND slot = ?",
                (phase, port, reason, *key),
            )
            self._changed()

    def set_weights(self, weights: Mapping[str, object], run_id: str | None, now_s: float) -> None:
        """Set all shares at once.

        Args:
            weights: per cent by slot.
            run_id: the run that holds the lease, where the caller relies on holding it.
            now_s: wall-clock seconds.

        Raises:
            ConfigurationError: not whole per cents that sum to 100.
            PlatformRefusedError: an unknown slot, or that run does not hold the lease.
        """
        wanted = checked_weights(weights)
        with self._writing():
            now = self._read()
            _known(wanted, now)
            if run_id is not None and _positive(wanted) != _positive(now.weights):
                _owned(now.lease, run_id, now_s)
            self._set(wanted)
            self._note("weights-set", now_s, {"weights": dict(wanted), "run_id": run_id})

    def _set(self, weights: Mapping[str, int]) -> None:
        self._db.execute("DELETE FROM weights")
        self._db.executemany("INSERT INTO weights VALUES (?, ?)", list(weights.items()))
        self._changed()

    def hold(self, wanted: Lease, now_s: float) -> None:
        """Begin a rollout.

        Raises:
            BusyError: another run holds the lease.
            ConfigurationError: the fallback does not sum to 100.
            PlatformRefusedError: the fallback names an unknown slot.
        """
        checked_weights(wanted.fallback)
        with self._writing():
            now = self._read()
            _known(wanted.fallback, now)
            if now.lease is not None and now.lease.due(now_s):
                self._end(now.lease, now_s)
            self._keep(take(now.lease, wanted, now_s))
            self._note("lease-held", now_s, {"run_id": wanted.run_id, "lease_s": wanted.lease_s})
            self._changed()

    def renew(self, run_id: str, now_s: float) -> None:
        """Renew the lease.

        Raises:
            PlatformRefusedError: it ran out meanwhile, or another run holds it.
        """
        with self._writing():
            self._keep(_present(self._lease(), run_id).renewed(run_id, now_s))
            self._changed()

    def commit(self, run_id: str, now_s: float) -> None:
        """End the rollout with the weights that stand.

        Raises:
            PlatformRefusedError: the lease ran out meanwhile, or another run holds it.
        """
        with self._writing():
            self._keep(_present(self._lease(), run_id).committed(run_id, now_s))
            self._note("lease-committed", now_s, {"run_id": run_id})
            self._changed()

    def expire(self, now_s: float) -> bool:
        """Put traffic back when the lease has run out; whether it had."""
        with self._writing():
            lease = self._lease()
            if lease is None or not lease.due(now_s):
                return False
            self._end(lease, now_s)
        return True

    def _end(self, lease: Lease, now_s: float) -> None:
        self._keep(lease.expired())
        self._set(lease.fallback)
        detail: dict[str, object] = {"run_id": lease.run_id, "weights": dict(lease.fallback)}
        self._note("lease-expired", now_s, detail)

    def _keep(self, lease: Lease) -> None:
        self._db.execute(
            "REPLACE INTO lease VALUES (1, ?, ?, ?, ?, ?)",
            (
                lease.run_id,
                json.dumps(dict(lease.fallback)),
                lease.lease_s,
                lease.deadline_s,
                lease.state,
            ),
        )


def _deployment(row: sqlite3.Row) -> DeploymentRecord:
    values = dict(row)
    endpoint, phase = Endpoint(values.pop("endpoint")), Phase(values.pop("phase"))
    trusted = tuple(json.loads(values.pop("trusted_types")))
    return DeploymentRecord(endpoint=endpoint, phase=phase, trusted_types=trusted, **values)


def _named(record: DeploymentRecord) -> dict[str, object]:
    return {
        "endpoint": record.endpoint,
        "slot": record.slot,
        "model": record.model,
        "version": record.version,
        "chaos": record.chaos,
    }


def _positive(weights: Mapping[str, int]) -> dict[str, int]:
    return {slot: share for slot, share in weights.items() if share}


def _known(weights: Mapping[str, int], now: Snapshot) -> None:
    unknown = sorted(set(weights) - now.slots(Endpoint.PRODUCTION))
    if unknown:
        raise PlatformRefusedError(
            f"there is no slot {', '.join(unknown)} to send traffic to; "
            f"there is {', '.join(sorted(now.slots(Endpoint.PRODUCTION))) or 'none'}",
            remedy="Deploy it first.",
        )


def _present(lease: Lease | None, run_id: str) -> Lease:
    if lease is None:
        raise PlatformRefusedError(
            f"run {run_id} holds no lease", remedy="Start the rollout again."
        )
    return lease


def _owned(lease: Lease | None, run_id: str, now_s: float) -> None:
    _present(lease, run_id).renewed(run_id, now_s)
