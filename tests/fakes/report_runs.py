"""Runs of every outcome with the recordings their stages leave, as the report reads them."""

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ml_pipeline.domain.evidence import (
    EXIT_CODES,
    Artifact,
    Check,
    Outcome,
    RunRecord,
    StageResult,
    Status,
)

BEGUN = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
RUN_ID = "20260314-092653-7f3a"
#: seconds after the run's start, seconds taken: the first four side by side
_SPANS = {
    "fetch-data": (0.1, 3.2),
    "lint": (0.1, 1.9),
    "unit-test": (0.1, 6.4),
    "validate-data": (3.4, 0.6),
    "smoke-train": (3.4, 8.3),
    "drift": (11.8, 0.7),
    "decide": (12.5, 0.05),
    "train": (12.6, 41.0),
    "evaluate": (53.7, 3.1),
    "compare": (56.8, 0.02),
    "package": (56.9, 5.5),
    "register": (62.4, 1.2),
    "deploy-staging": (63.6, 4.4),
    "load-test": (68.0, 30.6),
    "approve": (98.7, 0.01),
    "deploy-production": (98.8, 2.1),
    "shift-traffic": (101.0, 61.0),
    "archive": (162.1, 0.4),
}


class RunFolder:
    """A run that grows stage by stage, with files on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: list[StageResult] = []

    def stage(self, name, status=Status.PASSED, *, files=None, **told) -> StageResult:
        """Add a result; `files` maps names to JSON contents."""
        start, took = _SPANS[name]
        folder = self.path / name / "1"
        folder.mkdir(parents=True, exist_ok=True)
        artifacts = []
        for file, content in (files or {}).items():
            raw = json.dumps(content).encode()
            (folder / file).write_bytes(raw)
            digest = hashlib.sha256(raw).hexdigest()
            artifacts.append(Artifact(path=file, sha256=digest, bytes=len(raw)))
        told.setdefault("attempt", 1)
        result = StageResult(
            run_id=RUN_ID,
            stage=name,
            status=status,
            started_at=BEGUN + timedelta(seconds=start),
            duration_s=0 if status is Status.SKIPPED else took,
            artifacts=artifacts,
            **told,
        )
        self.results.append(result)
        return result

    def record(self, outcome: Outcome, message: str, **told) -> RunRecord:
        """The run with what was added so far."""
        ends = [r.started_at - BEGUN + timedelta(seconds=r.duration_s) for r in self.results]
        told.setdefault("exit_code", int(EXIT_CODES[outcome]))
        told.setdefault("options", {"force": False, "force_promote": False, "reason": ""})
        told.setdefault("project", "freshmart")
        told.setdefault("model", "freshmart-delivery-time")
        return RunRecord(
            run_id=RUN_ID,
            platform="local",
            profile="laptop",
            trigger="manual",
            commit="51bce44c0ffee0ddba11c0ffee0ddba11c0ffee0",
            started_at=BEGUN,
            duration_s=max(ends, default=timedelta()).total_seconds() + 0.3,
            outcome=outcome,
            message=message,
            stages=list(self.results),
            **told,
        )

    def checked(self) -> None:
        """The stages up to and including `drift`."""
        self.stage("fetch-data", message="12,000 rows, 2,400 held out from 2026-03-01", values={
            "rows": 12000, "training_rows": 9600, "holdout_rows": 2400,
            "cutoff": "2026-03-01T00:00:00Z",
        })  # fmt: skip
        self.stage(
            "lint",
            message="2 linters passed",
            adopted_from="20260313-180112-11aa/lint/1",
            checks=[
                Check(name="ruff check src", passed=True, value=0.0, limit=0.0, unit="exit code"),
                Check(name="mypy src", passed=True, value=0.0, limit=0.0, unit="exit code"),
            ],
        )
        self.stage("unit-test", message="41 tests passed", checks=[
            Check(name="tests", passed=True, value=41.0, limit=None, unit="passed"),
            Check(name="coverage", passed=True, value=93.4, limit=80.0, unit="%"),
        ])  # fmt: skip
        self.stage("validate-data", message="8 columns as declared", checks=[
            Check(name="distance_km in range", passed=True, value=0.0, limit=0.0, unit="rows"),
        ])  # fmt: skip
        self.stage("smoke-train", message="500 rows, model and metrics sound")
        psi = {"hour": 0.012, "distance_km": 0.034, "n_items": 0.051, "rain_mm": 0.231,
               "driver_experience_months": 0.087, "weekday": 0.004, "store_id": 0.019}  # fmt: skip
        self.stage(
            "drift",
            message="drift in rain_mm",
            metrics={f"psi.{name}": value for name, value in psi.items()},
            values={"limit": 0.2, "drifted": ["rain_mm"], "against": "3"},
        )

    def trained(self, challenger=4.112, *, interval=(-0.105, -0.038)) -> None:
        """Up to and including `evaluate`, against a champion of 4.435."""
        self.checked()
        self.stage("decide", message="drift in rain_mm is a reason to train")
        self.stage("train", message="job local-7f3a finished", metrics={"mae": 4.02})
        self.stage(
            "evaluate",
            message=f"mae {challenger} on 2400 held-out rows, the champion's is 4.435",
            metrics={"challenger": challenger, "champion": 4.435, "baseline": 9.7,
                     "interval_low": interval[0], "interval_high": interval[1]},
            values={"rows": 2371, "seen_rows": 29, "cutoff": "2026-03-01T00:00:00Z",
                    "champion": "3"},
            files={"predictions.json": predictions(challenger)},
        )  # fmt: skip
        self.interval = interval

    def compared(self, challenger=4.112, status=Status.PASSED, **told) -> None:
        """`compare` against a champion of 4.435, limit 5 %."""
        fine = challenger <= 4.657
        self.stage(
            "compare",
            status,
            checks=[
                Check(name="comparable rows", passed=True, value=2371.0, limit=100.0, unit="rows"),
                Check(name="challenger against the champion", passed=fine, value=challenger,
                      limit=4.65675, unit="mae",
                      message=f"mae {challenger}, asked for at most 4.65675"),
                Check(name="challenger against the best kept version", passed=fine,
                      value=challenger, limit=4.599, unit="mae"),
            ],
            metrics={"challenger": challenger, "champion": 4.435, "best_kept": 4.38,
                     "baseline": 9.7, "interval_low": self.interval[0],
                     "interval_high": self.interval[1]},
            values={"metric": "mae", "direction": "lower", "rule": "non-inferior",
                    "verdict": "promote" if fine else "no-improvement", "tie": False,
                    "overridden": False},
            **told,
        )  # fmt: skip

    def staged(self, *, p99_ms=38.0, max_p99_ms=500.0, status=Status.PASSED) -> None:
        """Up to and including `load-test`."""
        self.stage("package", message="ONNX, parity within 3e-07", metrics={"parity": 3e-7})
        self.stage("register", message="freshmart-delivery-time version 4", values={
            "version": "4", "uri": "models:/freshmart-delivery-time/4"})  # fmt: skip
        self.stage("deploy-staging", message="healthy, 100 integration samples passed")
        load = load_report(p99_ms)
        passed = load["p99_ms"] < max_p99_ms
        self.stage(
            "load-test",
            status,
            message=f"p99 {load['p99_ms']:.1f} ms, {load['errors']} of 1500 failed at 50/s",
            checks=[
                Check(name="the generator kept its schedule", passed=True, value=0.9, limit=50.0,
                      unit="ms (p99)"),
                Check(name="p99 latency", passed=passed, value=load["p99_ms"], limit=max_p99_ms,
                      unit="ms", message="" if passed else f"the limit is {max_p99_ms} ms"),
                Check(name="error share", passed=True, value=load["errors"] / 1500, limit=0.01),
            ],
            metrics={"p99_ms": load["p99_ms"], "errors": float(load["errors"])},
            files={"load.json": load},
        )  # fmt: skip

    def rolled_out(self, *, harm_at_pct=None, **told) -> None:
        """`deploy-production` and `shift-traffic`, with harm at that step when asked for."""
        self.stage("approve", message="automatic: risk tier low")
        self.stage("deploy-production", message="v4 answers in production with 0 % of the traffic")
        values = {"weights": {"v4": 100}, "max_error_share": 0.01}
        self.stage("shift-traffic", values=values, **told,
                   files={"rollout.json": rollout(harm_at_pct)})  # fmt: skip


def predictions(challenger: float, rows: int = 800) -> dict:
    """Held-out rows whose residuals have about the mean absolute value asked for."""
    chance = random.Random(4)
    truth = [chance.gammavariate(6, 6) for _ in range(rows)]
    near = [t + chance.gauss(0.1, challenger / 0.8) for t in truth]
    far = [t + chance.gauss(-0.6, 4.435 / 0.8) for t in truth]
    return {"truth": truth, "challenger": near, "champion": far}


def load_report(p99_ms: float = 38.0) -> dict:
    """50 requests a second for 30 seconds, three errors in second 17."""
    chance = random.Random(1)
    scale = p99_ms / 38
    nines = [k / 10 for k in range(32)]
    curve = [[1 - 10**-n, round(scale * (6 + 2.1 * n**2.6 + 1.5 * n), 3)] for n in nines]
    curve.append([1.0, round(scale * 61.5, 3)])
    timeline = []
    for second in range(30):
        p50 = scale * (6.8 + chance.random())
        timeline.append({
            "second": second, "requests": 50, "errors": 3 if second == 17 else 0,
            "p50_ms": p50, "p99_ms": p50 * (1.8 + 2 * chance.random() + 3 * (second == 17)),
            "max_ms": p50 * 8,
        })  # fmt: skip
    return {
        "planned": 1500, "sent": 1500, "errors": 3, "duration_s": 30.02,
        "p50_ms": curve[3][1], "p90_ms": curve[10][1], "p99_ms": curve[20][1],
        "max_ms": curve[-1][1], "lag_p99_ms": 0.9, "histogram": "", "timeline": timeline,
        "errors_by_kind": [["http 500", 2], ["timed out", 1]], "by_slot": [["staging", 1497, 2]],
        "percentiles": curve,
    }  # fmt: skip


def rollout(harm_at_pct: int | None = None) -> dict:
    """Four steps of fifteen seconds, looked at every second; harm shows in four looks."""
    chance = random.Random(2)
    events, samples, at_s = [], [], 0.0
    for share in (10, 25, 50, 100):
        weights = {"v4": share, "v3": 100 - share}
        events.append({"at_s": at_s, "event": "weights", "weights": weights,
                       "message": f"{share} % to v4"})  # fmt: skip
        harmed = share == harm_at_pct
        for look in range(4 if harmed else 15):
            at_s += 1.0
            for slot, part in (("v4", share), ("v3", 100 - share)):
                requests = round(200 * part / 100 * (0.9 + 0.2 * chance.random()))
                bad = harmed and slot == "v4"
                errors = round(requests * 0.2) if bad else int(chance.random() < 0.04)
                p99_ms = (
                    None if not requests else 30 + 8 * chance.random() + (40 * look if bad else 0)
                )
                samples.append({"at_s": at_s, "slot": slot, "requests": requests,
                                "errors": min(errors, requests), "slow": 0,
                                "p99_ms": p99_ms})  # fmt: skip
        message = "20.0 % of 400 requests failed, limit 1 %" if harmed else "limits kept"
        events.append({"at_s": at_s, "event": "judged", "weights": None, "message": message})
        if harmed:
            back = {"at_s": at_s + 0.2, "event": "rolled-back", "weights": {"v3": 100}}
            events.append({**back, "message": message})
            break
    else:
        events.append({"at_s": at_s, "event": "done", "weights": None, "message": "v4 serves all"})
    verdict = "harm" if harm_at_pct else "promoted"
    return {"challenger": "v4", "champion": "v3", "started_at": BEGUN.isoformat(),
            "events": events, "samples": samples, "verdict": verdict}  # fmt: skip


def promoted(path: Path) -> RunRecord:
    """Better than the champion, and all the way."""
    run = RunFolder(path)
    run.trained()
    run.compared(
        message="promote: mae 4.112 is 7.28 % better than the champion's 4.435 (2371 rows)"
    )
    run.staged()
    run.rolled_out(message="all traffic goes to v4")
    run.stage("archive", message="champion is version 4; versions 2 to 4 kept")
    return run.record(
        Outcome.PROMOTED,
        "Version 4 serves everybody: mae 4.112 is 7.28 % better than the champion's 4.435.",
    )


def no_improvement(path: Path) -> RunRecord:
    """Worse than the champion by more than the tolerance."""
    run = RunFolder(path)
    run.trained(6.021, interval=(0.31, 0.41))
    why = "no-improvement: mae 6.021 is 35.8 % worse than the champion's 4.435, beyond the tolerance of 5 % (2371 rows)"  # noqa: E501
    run.compared(6.021, Status.FAILED, outcome="no-improvement", message=why)
    options = {"force": True, "force_promote": False, "reason": "weekly drill"}
    return run.record(Outcome.NO_IMPROVEMENT, why, options=options)


def rolled_back(path: Path) -> RunRecord:
    """Harm at 25 %, in a drill."""
    run = RunFolder(path)
    run.trained()
    run.compared(
        message="promote: mae 4.112 is 7.28 % better than the champion's 4.435 (2371 rows)"
    )
    run.staged()
    why = "20.0 % of 400 requests failed, limit 1 %; all traffic is back on v3"
    run.rolled_out(
        harm_at_pct=25,
        status=Status.FAILED,
        outcome="rolled-back",
        message=why,
        checks=[Check(name="every step kept its limits", passed=False, message=why)],
    )
    options = {"force": True, "force_promote": False, "reason": "drill", "chaos": "errors=0.2"}
    return run.record(Outcome.ROLLED_BACK, why, options=options)


def inconclusive(path: Path) -> RunRecord:
    """Too few rows that neither model has seen."""
    run = RunFolder(path)
    run.trained()
    few = Check(name="comparable rows", passed=False, value=42.0, limit=100.0, unit="rows",
                message="42 comparable rows, of 100 asked for")  # fmt: skip
    run.stage("compare", Status.INCONCLUSIVE, outcome="inconclusive", checks=[few],
              message="inconclusive: 42 comparable rows, of 100 asked for",
              metrics={"challenger": 4.112, "champion": 4.435, "baseline": 9.7},
              values={"metric": "mae", "direction": "lower", "rule": "non-inferior"})  # fmt: skip
    return run.record(Outcome.INCONCLUSIVE, "inconclusive: 42 comparable rows, of 100 asked for")


def error(path: Path) -> RunRecord:
    """The champion could not be read."""
    run = RunFolder(path)
    run.checked()
    run.stage("decide", message="drift in rain_mm is a reason to train")
    why = "The registry at sqlite:///state/registry.db did not answer within 10 s (champion)."
    run.stage("train", Status.ERROR, message=why, exit_code=7,
              remedy="Start the platform with `ml-pipeline platform up`, then resume.")  # fmt: skip
    run.stage("evaluate", Status.SKIPPED, message="train did not pass")
    return run.record(Outcome.ERROR, why, exit_code=7)


def checks_red(path: Path) -> RunRecord:
    """A linter and a test failed, with their logs."""
    run = RunFolder(path)
    run.stage("fetch-data", message="12,000 rows")
    log = "src/train.py:14:5: F841 Local variable `x` is assigned to but never used\n"
    log += "src/train.py:30:1: E999 <SyntaxError> & more | pipes\nFound 2 errors."
    run.stage("lint", Status.FAILED, message="red: ruff check src", checks=[
        Check(name="ruff check src", passed=False, value=1.0, limit=0.0, unit="exit code",
              message=log)])  # fmt: skip
    run.stage("unit-test", Status.INTERRUPTED, message="stopped after another check went red")
    return run.record(Outcome.CHECKS_RED, "Lint is red: ruff check src.")


def nothing_to_do(path: Path) -> RunRecord:
    """Same inputs, young champion."""
    run = RunFolder(path)
    run.checked()
    run.stage("decide", message="run 20260313-180112-11aa judged the same inputs",
              outcome="nothing-to-do", values={"train": False})  # fmt: skip
    return run.record(
        Outcome.NOTHING_TO_DO, "Run 20260313-180112-11aa judged the same inputs 3 h ago."
    )


def awaiting_approval(path: Path) -> RunRecord:
    """A person is asked."""
    run = RunFolder(path)
    run.trained()
    run.compared(
        message="promote: mae 4.112 is 7.28 % better than the champion's 4.435 (2371 rows)"
    )
    run.staged()
    why = f"risk tier high asks for a person: `ml-pipeline resume {RUN_ID} --approve --reason …`"
    run.stage("approve", Status.WAITING, outcome="awaiting-approval", message=why)
    return run.record(Outcome.AWAITING_APPROVAL, why)


def interrupted(path: Path) -> RunRecord:
    """Ctrl-C in training."""
    run = RunFolder(path)
    run.checked()
    run.stage("decide", message="forced")
    run.stage("train", Status.INTERRUPTED, message="Stopped by SIGINT.", exit_code=130,
              remedy="Go on with `ml-pipeline resume`.")  # fmt: skip
    return run.record(Outcome.INTERRUPTED, "Stopped by SIGINT while training.")


def checks_passed(path: Path) -> RunRecord:
    """Trigger A."""
    run = RunFolder(path)
    run.checked()
    run.results.pop()
    return run.record(Outcome.CHECKS_PASSED, "All checks of this change passed.")


RUNS = {
    make.__name__: make
    for make in (promoted, no_improvement, rolled_back, inconclusive, error, checks_red,
                 nothing_to_do, awaiting_approval, interrupted, checks_passed)
}  # fmt: skip
