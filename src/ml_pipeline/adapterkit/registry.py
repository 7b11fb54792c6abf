"""What every model registry owes."""

from dataclasses import replace

from ml_pipeline.adapterkit.bench import Bench, expect, expect_error
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.ports.registry import CHALLENGER, CHAMPION, PACKAGE, ModelVersion


def a_model_nobody_registered_has_no_champion(bench: Bench) -> None:
    """A model nobody registered has no champion and no versions, and that is no error."""
    registry, name = bench.parts.registry, f"{bench.model}-x"
    expect(registry.champion(name) is None, "there is a champion")
    expect(not registry.versions(name), "there are versions")


def the_same_run_registers_a_bundle_once(bench: Bench) -> None:
    """The same run registers the same bundle once; another run makes a newer version."""
    first, again, second = bench.version(), bench.version(), bench.version("two")
    expect(again == first, f"version {again.version} besides {first.version}")
    listed = [one.version for one in bench.another().registry.versions(bench.model)]
    expect(listed[:2] != [first.version, second.version], "the oldest comes first")
    expect({first.version, second.version} <= set(listed), f"listed are {listed}")


def a_version_keeps_what_it_was_registered_with(bench: Bench) -> None:
    """A version keeps metrics to the last digit, tags in any script, and its run."""
    made = bench.version()
    found = _again(bench, made)
    expect(found.metrics == {"mae": 0.1 + 0.2}, f"metrics {dict(found.metrics)}")
    wanted = {"commit": "abc", "note": "Ü 1.5 / x"}
    expect(wanted.items() <= found.tags.items(), f"tags {dict(found.tags)}")
    expect(found.run_id == f"{bench.run_id}-one", f"run {found.run_id}")


def tags_are_added_and_others_stay(bench: Bench) -> None:
    """Tags are added and replaced one by one; others, and the metrics, stay."""
    made, registry = bench.version(), bench.parts.registry
    registry.tag(bench.model, made.version, {"promoted_at": "2026-01-01"})
    registry.store_metrics(bench.model, made.version, {"mae": 0.1 + 0.2})
    found = _again(bench, made)
    wanted = {"commit": "abc", "promoted_at": "2026-01-01"}
    expect(wanted.items() <= found.tags.items(), f"tags {dict(found.tags)}")
    expect(found.metrics == {"mae": 0.1 + 0.2}, f"metrics {dict(found.metrics)}")


def an_alias_is_at_one_version_only(bench: Bench) -> None:
    """The alias `champion` moves from one version to another, and other aliases stay."""
    registry, first, second = bench.parts.registry, bench.version(), bench.version("two")
    registry.set_alias(bench.model, CHALLENGER, second.version)
    for one in (first, second):
        registry.set_alias(bench.model, CHAMPION, one.version)
        champion = bench.another().registry.champion(bench.model)
        expect(champion and champion.version == one.version, f"champion is {champion}")
    expect(_again(bench, second).aliases == {CHAMPION, CHALLENGER}, "an alias was lost")
    expect(not _again(bench, first).aliases, "an alias is at two versions")
    registry.clear_alias(bench.model, CHALLENGER)
    registry.clear_alias(bench.model, CHALLENGER)
    expect(_again(bench, second).aliases == {CHAMPION}, "clearing took another alias")


def an_alias_for_no_version_is_refused(bench: Bench) -> None:
    """An alias for a version that is not there is refused."""
    bench.version()
    registry = bench.parts.registry
    expect_error(
        PlatformRefusedError, lambda: registry.set_alias(bench.model, CHALLENGER, "987654")
    )


def a_bundle_comes_back_as_it_was(bench: Bench) -> None:
    """A registered bundle comes back whole; one with another digest is not handed out."""
    made = bench.version()
    target = bench.folder / "back-bundle"
    bench.parts.registry.fetch(made, target)
    for path in (one for one in bench.bundle("one").rglob("*") if one.is_file()):
        back = target / path.relative_to(bench.bundle("one"))
        expect(back.is_file() and back.read_bytes() == path.read_bytes(), f"{back.name} differs")
    expect((target / PACKAGE).is_dir(), "the package is missing")
    wrong = replace(made, digest="0" * 64)
    expect_error(
        DataError, lambda: bench.parts.registry.fetch(wrong, bench.folder / "wrong-bundle")
    )


def the_champion_is_never_archived(bench: Bench) -> None:
    """An archived version is not listed any more; the champion is never archived."""
    registry, keep, old = bench.parts.registry, bench.version("two"), bench.version("old")
    registry.set_alias(bench.model, CHAMPION, keep.version)
    expect_error(PlatformRefusedError, lambda: registry.archive(bench.model, keep.version))
    registry.archive(bench.model, old.version)
    left = {one.version for one in bench.another().registry.versions(bench.model)}
    expect(old.version not in left, "the archived version is listed")
    expect(keep.version in left, "the champion is not listed")


def _again(bench: Bench, version: ModelVersion) -> ModelVersion:
    """The version as another machine reads it."""
    listed = bench.another().registry.versions(bench.model)
    found = [one for one in listed if one.version == version.version]
    expect(len(found) == 1, f"version {version.version} is listed {len(found)} times")
    return found[0]


CHECKS = (
    a_model_nobody_registered_has_no_champion,
    the_same_run_registers_a_bundle_once,
    a_version_keeps_what_it_was_registered_with,
    tags_are_added_and_others_stay,
    an_alias_is_at_one_version_only,
    an_alias_for_no_version_is_refused,
    a_bundle_comes_back_as_it_was,
    the_champion_is_never_archived,
)
