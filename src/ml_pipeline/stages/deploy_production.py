"""The challenger beside the champion, with no traffic yet."""

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.evidence import Check, StageOutcome, Status
from ml_pipeline.domain.identifiers import slot_of
from ml_pipeline.domain.policies.release import StagingPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import RunOptions, StageFolder
from ml_pipeline.ports.registry import (
    PACKAGE,
    Bundles,
    ModelRegistry,
    ModelVersion,
    same_champion,
    version_of,
)
from ml_pipeline.ports.serving import ModelHost, TrafficRouter, deploy_and_wait, remove_idle


def run(
    *,
    stage: StageFolder,
    model: str,
    staging: StagingPolicy,
    registry: ModelRegistry,
    bundles: Bundles,
    production_host: ModelHost,
    router: TrafficRouter,
    options: RunOptions,
    clock: Clock,
) -> StageOutcome:
    """Have champion and challenger answer in production; traffic stays where it is."""
    stage.result("approve")
    challenger = version_of(registry, model, stage.result("register").values)
    champion = same_champion(registry, model, stage.result("evaluate").values["champion"])
    _refuse_strangers(model, champion, challenger, router)
    limit_s = staging.health_time_limit_s
    if champion is not None:
        # A platform that lost its deployments is mended before anything new is put beside them.
        package = bundles.folder(champion) / PACKAGE
        slot = slot_of(champion.version)
        deploy_and_wait(production_host, slot, champion, package, clock=clock, time_limit_s=limit_s)
        if not router.weights():
            router.set_weights({slot: 100})
    slot = slot_of(challenger.version)
    served = [champion, challenger, _served_before(registry, model, champion)]
    stay = {slot_of(one.version) for one in served if one is not None}
    removed = remove_idle(production_host, router, stay=stay)
    stage.journal("production-deploying", slot=slot, version=challenger.version)
    package = bundles.folder(challenger) / PACKAGE
    deploy_and_wait(
        production_host,
        slot,
        challenger,
        package,
        clock=clock,
        time_limit_s=limit_s,
        chaos=options.chaos,
    )
    share = router.weights().get(slot, 0)
    return StageOutcome(
        status=Status.PASSED,
        message=f"{slot} answers in production with {share} % of the traffic",
        checks=(Check(name=f"{slot} answers", passed=True, value=f"version {challenger.version}"),),
        values={
            "challenger": slot,
            "champion": slot_of(champion.version) if champion else None,
            "chaos": options.chaos,
            "removed": [*removed],
        },
    )


def _served_before(
    registry: ModelRegistry, model: str, champion: ModelVersion | None
) -> ModelVersion | None:
    """The version `rollback` would return to."""
    versions = registry.versions(model)
    earlier = [one for one in versions if one.served and one != champion]
    return max(earlier, key=lambda one: one.tags["promoted_at"], default=None)


def _refuse_strangers(
    model: str, champion: ModelVersion | None, challenger: ModelVersion, router: TrafficRouter
) -> None:
    """A registry that forgot its champion must not turn a release into a first one."""
    strangers = {one: share for one, share in router.weights().items() if share}
    if champion is None and strangers.keys() - {slot_of(challenger.version)}:
        raise PlatformRefusedError(
            f"{', '.join(strangers)} serves, but the registry of {model} knows no champion",
            remedy="Restore the registry, or take the platform's state away to begin anew.",
        )
