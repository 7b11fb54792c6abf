"""Traffic to the challenger step by step, watched, and back to the champion on harm."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.evidence import Check, Outcome, StageOutcome, Status
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.domain.policies.release import LoadPolicy, RolloutPolicy
from ml_pipeline.domain.rollout import Seen, StepJudgement, StepState, judge_step
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.load import LoadGenerator, LoadPlan, Replay
from ml_pipeline.ports.registry import STAGING, ModelRegistry, same_champion
from ml_pipeline.ports.rollout import HeldTraffic
from ml_pipeline.ports.serving import ModelHost, TrafficMetrics, TrafficRouter
from ml_pipeline.ports.tables import TableStore, request_bodies

ROLLOUT = "rollout.json"
_BODIES = 500
#: A day: replayed traffic ends with the rollout, not by itself.
_REPLAY_S = 86_400.0
#: Metrics that cannot be read are waited for this many looks before the rollout is given up.
_BLIND_LOOKS = 5


@dataclass(slots=True)
class _Rollout:
    """One rollout's parts, and what it has seen so far."""

    stage: StageFolder
    policy: RolloutPolicy
    router: TrafficRouter
    traffic: TrafficMetrics
    clock: Clock
    challenger: str
    champion: str | None
    begun: float
    events: list[dict[str, object]] = field(default_factory=list)
    samples: list[dict[str, object]] = field(default_factory=list)

    @property
    def held(self) -> HeldTraffic:
        return HeldTraffic(self.router, self.stage.run_id)

    @property
    def fallback(self) -> dict[str, int]:
        return {self.champion: 100} if self.champion else {}

    def tell(self, event: str, message: str, weights: Mapping[str, int] | None = None) -> None:
        at_s = round(self.clock.monotonic() - self.begun, 3)
        shown = dict(weights) if weights is not None else None
        self.events.append({"at_s": at_s, "event": event, "weights": shown, "message": message})


def run(
    *,
    stage: StageFolder,
    model: str,
    data: DataPolicy,
    rollout: RolloutPolicy,
    load: LoadPolicy,
    registry: ModelRegistry,
    router: TrafficRouter,
    traffic: TrafficMetrics,
    tables: TableStore,
    load_generator: LoadGenerator,
    production_host: ModelHost,
    staging_host: ModelHost,
    clock: Clock,
) -> StageOutcome:
    """Step through the weights under a lease; whatever interrupts it puts the champion back."""
    version = str(stage.result("register").values["version"])
    compared = stage.result("evaluate").values["champion"]
    now = same_champion(registry, model, compared, own=version)
    deployed = stage.result("deploy-production").values
    champion = deployed["champion"]
    it = _Rollout(
        stage,
        rollout,
        router,
        traffic,
        clock,
        str(deployed["challenger"]),
        str(champion) if champion else None,
        clock.monotonic(),
    )
    started_at = clock.now()
    if _already_done(it) or (now is not None and now.version == version):
        return _serves(it)
    if it.champion is None:
        return _first(it, started_at)
    rows = stage.file("evaluate", "comparable.csv") if rollout.replay_rate_per_s else None
    bodies = request_bodies(tables, rows, data, _BODIES) if rows else []
    replay = _replayed(it, bodies, load, load_generator) if bodies else None
    try:
        bad = _guarded(it)
        if bad is not None:  # an interrupted rollout keeps it, to be resumed
            production_host.remove(it.challenger)
            staging_host.remove(STAGING)
        return _outcome(it, started_at, bad)
    finally:
        _stop(replay, stage)


def _serves(it: _Rollout) -> StageOutcome:
    """This run's version is the champion, or its rollout was committed: it has all traffic."""
    if it.router.weights().get(it.challenger) != 100:
        it.stage.journal("weights", weights={it.challenger: 100})
        it.router.set_weights({it.challenger: 100})
    message = f"{it.challenger} had all traffic already"
    return StageOutcome(status=Status.PASSED, message=message, values={"rolled_back": False})


def _first(it: _Rollout, started_at: datetime) -> StageOutcome:
    """The first model of its name: nobody to protect, and nobody to compare with."""
    others = {slot for slot, share in it.router.weights().items() if share} - {it.challenger}
    if others:
        raise PlatformRefusedError(
            f"{', '.join(sorted(others))} serves, and this run knows of no champion",
            remedy="Start a new run, or restore the champion with `ml-pipeline abort`.",
        )
    it.stage.journal("weights", weights={it.challenger: 100})
    it.router.set_weights({it.challenger: 100})
    it.stage.journal("rollout-committed", slot=it.challenger)
    it.tell("weights", "the first model of its name gets all traffic", {it.challenger: 100})
    return _outcome(it, started_at, None)


def _replayed(
    it: _Rollout, bodies: list[bytes], load: LoadPolicy, generator: LoadGenerator
) -> Replay:
    plan = LoadPlan(
        rate_per_s=min(it.policy.replay_rate_per_s, load.rate_per_s),
        duration_s=_REPLAY_S,
        time_out_s=load.time_out_s,
        bodies=bodies,
    )
    return generator.replay(it.router.endpoint(), plan, work=it.stage.path)


def _stop(replay: Replay | None, stage: StageFolder) -> None:
    if replay is not None:
        report = replay.stop()
        (stage.path / "replay.json").write_text(json.dumps(asdict(report)), encoding="utf-8")


def _already_done(it: _Rollout) -> bool:
    committed = [line.get("slot") for line in it.stage.journalled("rollout-committed")]
    return it.challenger in committed and it.router.weights().get(it.challenger) == 100


def _guarded(it: _Rollout) -> StepJudgement | None:
    """All steps under the lease; None when every one passed."""
    it.stage.journal("rollout-started", fallback=it.fallback, steps=list(it.policy.steps_pct))
    it.held.hold(it.fallback, lease_s=it.policy.lease_s, poll_s=it.policy.poll_s)
    try:
        bad = _steps(it)
        if bad is None:
            it.held.keep()
            it.stage.journal("rollout-committed", slot=it.challenger)
            it.router.commit(it.stage.run_id)
            it.tell("done", f"{it.challenger} serves everybody")
            return None
        _restore(it, bad.message)
    except BaseException as error:
        if it.held.ours():
            _restore(it, f"{type(error).__name__}: {error}")
        raise
    return bad


def _restore(it: _Rollout, why: str) -> None:
    it.stage.journal("rolling-back", weights=it.fallback, why=why)
    it.held.give_back(it.fallback)
    it.tell("rolled-back", why, it.fallback)
    it.stage.journal("rolled-back", weights=it.fallback)


def _steps(it: _Rollout) -> StepJudgement | None:
    for share in it.policy.steps_pct:
        weights = {it.challenger: share, str(it.champion): 100 - share}
        it.stage.journal("weights", weights=weights)
        it.held.shift(weights)
        it.tell("weights", f"{share} % to {it.challenger}", weights)
        judgement = _watch(it)
        it.tell("judged", judgement.message)
        if judgement.state is not StepState.ADVANCE:
            return judgement
    return None


def _watch(it: _Rollout) -> StepJudgement:
    begun, begun_at = it.clock.monotonic(), it.clock.now()
    looked_at, blind = begun_at, 0
    while True:
        it.clock.sleep(it.policy.poll_s)
        try:
            it.held.renew()
        except PlatformRefusedError as error:
            if not it.router.self_healing:
                raise
            message = f"the lease is gone, so the platform has put the champion back: {error}"
            return StepJudgement(state=StepState.HARM, message=message)
        try:
            now = it.clock.now()
            seen, held_s = _seen(it, begun_at, looked_at, now)
            looked_at, blind = now, 0
        except PlatformUnavailableError as error:
            blind += 1
            if blind >= _BLIND_LOOKS:
                message = f"the metrics cannot be read: {error}"
                return StepJudgement(state=StepState.NO_EVIDENCE, message=message)
            continue
        waited_s = it.clock.monotonic() - begun
        judgement = judge_step(it.policy, seen, held_s=held_s, waited_s=waited_s)
        if judgement.state is not StepState.WATCH:
            return judgement


def _seen(
    it: _Rollout, begun_at: datetime, looked_at: datetime, now: datetime
) -> tuple[Seen, float]:
    """The challenger since the step began, and for how many seconds the figures are complete.

    What both slots did since the last look is kept for the report.
    """
    for slot in (it.challenger, str(it.champion)):
        last = it.traffic.window(slot, looked_at, now, it.policy.slow_ms)
        it.samples.append(
            {
                "at_s": round(it.clock.monotonic() - it.begun, 3),
                "slot": slot,
                "requests": last.requests,
                "errors": last.errors,
                "slow": last.slow,
                "p99_ms": last.p99_ms,
            }
        )
    whole = it.traffic.window(it.challenger, begun_at, now, it.policy.slow_ms)
    held_s = max(0.0, (min(whole.as_of, now) - begun_at).total_seconds())
    usual = it.traffic.window(str(it.champion), begun_at, now, it.policy.slow_ms)
    usually_refused = usual.refused or 0
    seen = Seen(
        requests=whole.requests,
        errors=whole.errors,
        slow=whole.slow,
        p99_ms=whole.p99_ms,
        refused=whole.refused or 0,
        refused_share=usually_refused / max(1, usual.requests + usually_refused),
    )
    return seen, held_s


def _outcome(it: _Rollout, started_at: datetime, bad: StepJudgement | None) -> StageOutcome:
    file = it.stage.path / ROLLOUT
    told = {
        "challenger": it.challenger,
        "champion": it.champion,
        "started_at": started_at.isoformat(),
        "events": it.events,
        "samples": it.samples,
        "verdict": "promoted" if bad is None else bad.state.value,
    }
    file.write_text(json.dumps(told), encoding="utf-8")
    return _told(it, bad, file)


def _told(it: _Rollout, bad: StepJudgement | None, file: Path) -> StageOutcome:
    protected = (
        "returns to the champion by itself when the pipeline dies"
        if it.router.self_healing
        else "does not return to the champion by itself: `ml-pipeline abort` does it"
    )
    values: dict[str, JsonValue] = {
        "weights": {**it.router.weights()},
        "rolled_back": bad is not None,
        "platform": protected,
        "max_error_share": it.policy.max_error_share,
    }
    if bad is None:
        check = Check(name="every step kept its limits", passed=True, value="100 %")
        message = f"all traffic goes to {it.challenger}"
        return StageOutcome(
            status=Status.PASSED, message=message, checks=(check,), artifacts=(file,), values=values
        )
    harm = bad.state is StepState.HARM
    return StageOutcome(
        status=Status.FAILED if harm else Status.INCONCLUSIVE,
        outcome=Outcome.ROLLED_BACK if harm else Outcome.INCONCLUSIVE,
        message=f"{bad.message}; all traffic is back on {it.champion}",
        checks=(Check(name="every step kept its limits", passed=False, message=bad.message),),
        artifacts=(file,),
        values=values,
    )
