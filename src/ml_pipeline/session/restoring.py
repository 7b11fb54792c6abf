"""Putting the champion back: what `abort` and `rollback` ask of the ports."""

from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError, PlatformRefusedError
from ml_pipeline.domain.identifiers import slot_of
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.registry import (
    CHALLENGER,
    CHAMPION,
    PACKAGE,
    REPLACED,
    STAGING,
    WITHDRAWN_AT,
    Bundles,
    ModelRegistry,
    ModelVersion,
)
from ml_pipeline.ports.serving import ModelHost, TrafficRouter, deploy_and_wait
from ml_pipeline.ports.training import JobState, TrainingPlatform, cancel_and_see


def cancel_training(
    project: str, run_id: str, *, platform: TrainingPlatform, clock: Clock
) -> list[str]:
    """Cancel what a run left training, all of it; what was done, in sentences."""
    newest = platform.find(project, run_id)
    if newest is None:
        return ["no training job was submitted"]
    left = {one.ref: None for one in platform.running(project) if one.run_id == run_id}
    state = platform.state(newest)
    done = []
    if state.final and state is not JobState.CANCELLED:
        done.append(f"training job {newest.name} had {state} already")
        left.pop(newest, None)
    else:
        left[newest] = None
    for job in left:
        cancel_and_see(job, platform, clock)
        done.append(f"training job {job.name} is cancelled")
    return done


def restore_traffic(  # noqa: PLR0913 - the ports it puts in order
    model: str,
    *,
    registry: ModelRegistry,
    router: TrafficRouter,
    production_host: ModelHost,
    staging_host: ModelHost,
    bundles: Bundles,
    clock: Clock,
    health_limit_s: float,
) -> list[str]:
    """Give the registry's champion all traffic; of the rest only what served before it stays.

    One that has to be deployed again must answer within `health_limit_s` seconds.
    """
    done: list[str] = []
    champion = registry.champion(model)
    if champion is None and any(router.weights().values()):
        serving = ", ".join(slot for slot, share in router.weights().items() if share)
        raise PlatformRefusedError(
            f"{serving} serves, but no version of {model} is champion to put in its place",
            remedy="Finish its release with `ml-pipeline resume`, or release another model.",
        )
    if champion is None:
        done.append("there is no champion, and nothing serves")
    else:
        slot = _deployed(champion, production_host, bundles, clock, health_limit_s)
        router.set_weights({slot: 100})
        done.append(f"all traffic goes to {slot}")
    holder = router.rollout()
    if holder is not None:
        router.commit(holder)
        done.append(f"the lease of run {holder} is ended")
    staging_host.remove(STAGING)
    for alias in (CHALLENGER, STAGING):
        registry.clear_alias(model, alias)
    # What served before stays where it is, so that `rollback` takes no deployment.
    before = champion.tags.get(REPLACED) if champion is not None else None
    for deployment in production_host.list():
        idle = router.weights().get(deployment.slot, 0) == 0
        if champion is not None and idle and deployment.version != before:
            production_host.remove(deployment.slot)
            done.append(f"{deployment.slot} is removed")
    return done


def served_before(model: str, registry: ModelRegistry) -> tuple[ModelVersion, ModelVersion]:
    """The champion, and the version that served before it.

    Raises:
        ConfigurationError: there is no champion, or no earlier version that served is kept.
    """
    champion = registry.champion(model)
    if champion is None:
        raise ConfigurationError(
            f"no version of {model} serves, so there is nothing to take back",
            remedy="Release one with `ml-pipeline full-pipeline`.",
        )
    before = champion.tags.get(REPLACED)
    if not before:
        raise ConfigurationError(
            f"version {champion.version} of {model} is the first that served",
            remedy="Release a mended model with `ml-pipeline full-pipeline`.",
        )
    target = next((one for one in registry.versions(model) if one.version == before), None)
    if target is None:
        raise ConfigurationError(
            f"version {before} of {model}, which served before {champion.version}, is not kept",
            remedy="Release a mended model, and raise 'retention.keep' for the next time.",
        )
    return champion, target


def roll_back(  # noqa: PLR0913 - the ports it puts in order
    champion: ModelVersion,
    target: ModelVersion,
    *,
    registry: ModelRegistry,
    router: TrafficRouter,
    production_host: ModelHost,
    bundles: Bundles,
    clock: Clock,
    health_limit_s: float,
) -> None:
    """Give traffic and alias of `champion` back to `target`, which served before.

    One that has to be deployed again must answer within `health_limit_s` seconds.
    """
    slot = _deployed(target, production_host, bundles, clock, health_limit_s)
    router.set_weights({slot: 100})
    registry.set_alias(target.model, CHAMPION, target.version)
    registry.tag(champion.model, champion.version, {WITHDRAWN_AT: clock.now().isoformat()})


def _deployed(
    version: ModelVersion, host: ModelHost, bundles: Bundles, clock: Clock, health_limit_s: float
) -> str:
    slot = slot_of(version.version)
    package: Path = bundles.folder(version) / PACKAGE
    deploy_and_wait(host, slot, version, package, clock=clock, time_limit_s=health_limit_s)
    return slot
