"""The alias follows the traffic, and only a few versions are kept."""

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.domain.evidence import Check, Outcome, StageOutcome, Status
from ml_pipeline.domain.identifiers import slot_of
from ml_pipeline.domain.policies.release import RetentionPolicy
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.evidence import StageFolder
from ml_pipeline.ports.registry import (
    CHALLENGER,
    CHAMPION,
    PROMOTED_AT,
    REPLACED,
    STAGING,
    ModelRegistry,
    same_champion,
    version_of,
)
from ml_pipeline.ports.serving import ModelHost, TrafficRouter, remove_idle


def run(
    *,
    stage: StageFolder,
    model: str,
    retention: RetentionPolicy,
    registry: ModelRegistry,
    router: TrafficRouter,
    production_host: ModelHost,
    staging_host: ModelHost,
    clock: Clock,
) -> StageOutcome:
    """Move `champion` to the version that has the traffic, and clear away what is not needed."""
    version = version_of(registry, model, stage.result("register").values)
    share = router.weights().get(slot_of(version.version), 0)
    if share != 100:
        raise PlatformRefusedError(
            f"version {version.version} has {share} % of the traffic, so it is no champion",
            remedy=f"Run `ml-pipeline run shift-traffic --run {stage.run_id}` first.",
        )
    compared_with = stage.result("evaluate").values["champion"]
    same_champion(registry, model, compared_with, own=version.version)
    replaced = str(compared_with) if compared_with is not None else ""
    compared = stage.result("compare").metrics
    registry.store_metrics(model, version.version, {"challenger": compared["challenger"]})
    stage.journal("champion-moving", version=version.version)
    registry.set_alias(model, CHAMPION, version.version)
    registry.tag(model, version.version, {PROMOTED_AT: clock.now().isoformat(), REPLACED: replaced})
    registry.clear_alias(model, CHALLENGER)
    staging_host.remove(STAGING)
    registry.clear_alias(model, STAGING)
    archived = _archive(model, registry, retention.keep)
    # The last champion stays beside the new one, so that `rollback` takes no deployment.
    stay = {slot_of(one) for one in (version.version, replaced) if one}
    removed = remove_idle(production_host, router, stay=stay)
    return StageOutcome(
        status=Status.PASSED,
        outcome=Outcome.PROMOTED,
        message=f"version {version.version} is the champion of {model}",
        checks=(Check(name="traffic on the champion", passed=True, value=100.0, unit="%"),),
        values={"champion": version.version, "archived": [*archived], "removed": [*removed]},
    )


def _archive(model: str, registry: ModelRegistry, keep: int) -> list[str]:
    """Versions that served are kept first; those that never did make room for them."""
    versions = registry.versions(model)
    served = [one for one in versions if one.served or CHAMPION in one.aliases]
    kept = {one.version for one in served[:keep]}
    archived = [
        one.version for one in versions if one.version not in kept and CHAMPION not in one.aliases
    ]
    for number in archived:
        registry.archive(model, number)
    return archived
