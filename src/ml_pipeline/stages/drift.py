"""How far this run's rows are from those the champion was accepted on, and how old they are."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from ml_pipeline.domain.errors import DataError
from ml_pipeline.domain.evidence import Check, StageOutcome, Status
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.gate import DriftPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import Memo, StageFolder
from ml_pipeline.ports.registry import BASELINE, Bundles, ModelVersion
from ml_pipeline.ports.tables import TableStore


def run(
    *,
    stage: StageFolder,
    data: DataPolicy,
    drift: DriftPolicy,
    tables: TableStore,
    memo: Memo,
    clock: Clock,
    champion_hint: Callable[[], ModelVersion | None],
    bundles: Bundles,
) -> StageOutcome:
    """Drift is a reason to train, never a fault; rows older than `data.max_age_h` are one."""
    freshness = _freshness(stage, data, clock)
    champion = champion_hint()
    if champion is None:
        message = "there is no champion to compare the rows with"
        return StageOutcome(status=Status.PASSED, message=message, checks=freshness)
    measured = _measured(stage, champion, drift, tables, memo, bundles)
    checks = tuple(
        Check(
            name=f"PSI of {name}",
            passed=True,
            value=value,
            limit=drift.max_psi,
            message="drifted: a reason to train" if value > drift.max_psi else "",
        )
        for name, value in sorted(measured.items())
    )
    drifted = sorted(name for name, value in measured.items() if value > drift.max_psi)
    return StageOutcome(
        status=Status.PASSED,
        message=f"drift in {', '.join(drifted)}" if drifted else "no column drifted",
        checks=(*freshness, *checks),
        metrics={f"psi.{name}": value for name, value in measured.items()},
        values={"limit": drift.max_psi, "drifted": list(drifted), "against": champion.version},
    )


def _freshness(stage: StageFolder, data: DataPolicy, clock: Clock) -> tuple[Check, ...]:
    newest = stage.result("fetch-data").values.get("newest")
    if data.max_age_h is None:
        return ()
    age = clock.now() - datetime.fromisoformat(str(newest))
    if age > timedelta(hours=data.max_age_h):
        raise DataError(
            f"the newest row is from {newest}, {age.total_seconds() / 3600:.1f} h ago;"
            f" data.max_age_h = {data.max_age_h:g}",
            remedy="Mend what fills the source, or raise 'data.max_age_h'.",
        )
    age_h = age.total_seconds() / 3600
    return (Check(name="newest row", passed=True, value=age_h, limit=data.max_age_h, unit="h"),)


def _measured(
    stage: StageFolder,
    champion: ModelVersion,
    drift: DriftPolicy,
    tables: TableStore,
    memo: Memo,
    bundles: Bundles,
) -> dict[str, float]:
    fetched = stage.result("fetch-data")
    if _rows_of(fetched.values) < drift.min_rows:
        return {}
    training = next(one for one in fetched.artifacts if one.path == "training.csv")
    asked = f"{training.sha256} {champion.digest} {drift.bins}"
    key = hashlib.sha256(asked.encode()).hexdigest()
    kept = memo.get("drift", key)
    if kept is not None:
        return _read(kept / "psi.json")
    baseline = json.loads((bundles.folder(champion) / BASELINE).read_text(encoding="utf-8"))
    measured = dict(tables.drift(stage.file("fetch-data", "training.csv"), baseline))
    file = stage.path / "psi.json"
    file.write_text(json.dumps(measured), encoding="utf-8")
    memo.put("drift", key, [file], stage.path)
    return measured


def _read(path: Path) -> dict[str, float]:
    loaded: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _rows_of(values: object) -> int:
    rows = values.get("training_rows") if isinstance(values, dict) else 0
    return rows if isinstance(rows, int) else 0
