"""A version in the registry, under the alias `challenger`."""

from ml_pipeline.domain.evidence import StageOutcome, Status
from ml_pipeline.ports.evidence import RunOptions, StageFolder
from ml_pipeline.ports.registry import CHALLENGER, ModelRegistry, same_champion


def run(
    *, stage: StageFolder, model: str, registry: ModelRegistry, options: RunOptions
) -> StageOutcome:
    """Register the bundle; the same run a second time finds the version it made."""
    packaged = stage.result("package")
    for artifact in packaged.artifacts:
        stage.file("package", artifact.path)  # what is registered is what was recorded
    bundle = stage.path.parents[1] / "package" / str(packaged.attempt) / "bundle"
    compared = stage.result("compare")
    fetched = stage.result("fetch-data").values
    same_champion(registry, model, stage.result("evaluate").values["champion"])
    version = registry.register(
        model,
        bundle,
        run_id=stage.run_id,
        metrics={key: compared.metrics[key] for key in ("challenger",)},
        tags={
            "run_id": stage.run_id,
            "commit": options.commit or "unknown",
            "source_digest": options.source_digest,
            "package_digest": str(packaged.values["digest"]),
            "metric": str(compared.values["metric"]),
            "verdict": compared.message,
            "trained_through": str(fetched["trained_through"]),
            "cutoff": str(fetched["cutoff"]),
        },
    )
    stage.journal("registered", version=version.version)
    registry.set_alias(model, CHALLENGER, version.version)
    return StageOutcome(
        status=Status.PASSED,
        message=f"{model} version {version.version}",
        values={"version": version.version, "uri": version.uri, "digest": version.digest},
    )
