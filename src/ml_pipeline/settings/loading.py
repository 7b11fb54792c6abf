"""Settings from all sources, or every fault of them at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_pipeline.settings.consistency import problems
from ml_pipeline.settings.faults import Fault, dotted, error, shown
from ml_pipeline.settings.given import Given, Reading, from_environment, from_sets
from ml_pipeline.settings.keys import Path as KeyPath
from ml_pipeline.settings.model import Settings
from ml_pipeline.settings.profiles import PROFILES, Platform, ProfileName, profile_for
from ml_pipeline.settings.project import displayed, open_project
from ml_pipeline.settings.validation import Validation, merged, origin_of, validated, value_at

_NO_ROWS = (
    "Correct what is named above; into a container rows that `.gitignore` names come by `--data`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a project's settings come to, with every fault there is.

    `sections` are those that can be worked with; a faulty key in one of them has its default.
    `file` is None when there is no configuration to read.
    """

    source: Path
    file: Path | None
    faults: Sequence[Fault]
    sections: Mapping[str, Any]
    origins: Mapping[KeyPath, str]


def load(
    source: Path | None = None,
    *,
    sets: Sequence[str] = (),
    environ: Mapping[str, str],
    overrides: Sequence[Given] = (),
    files_exist: bool = True,
) -> Settings:
    """One project's effective settings.

    Command-line options come first, then `--set`, environment, file, profile, default.

    Args:
        source: the project's folder, or one that redirects to it; the working folder when None.
        sets: texts of `--set`, `key=value`; a later one wins over an earlier one.
        environ: environment variables.
        overrides: values of other command-line options, with the option as their origin.
        files_exist: whether files named by the settings must be there; `abort` and the like
            work without them.

    Raises:
        ConfigurationError: whatever is wrong, all of it, one line a fault.
    """
    seen = look(source, sets=sets, environ=environ, overrides=overrides, files_exist=files_exist)
    if seen.faults or seen.file is None:
        raise error(seen.faults)
    told = {dotted(path): origin for path, origin in seen.origins.items()}
    return Settings(source=seen.source, file=seen.file, origins=told, **seen.sections)


def look(
    source: Path | None = None,
    *,
    sets: Sequence[str] = (),
    environ: Mapping[str, str],
    overrides: Sequence[Given] = (),
    files_exist: bool = True,
) -> Looked:
    """As `load`, but faults are values: what can be read of the rest is there as well."""
    project = open_project(source)
    readings = [project.reading, from_environment(environ), from_sets(sets), _taken(overrides)]
    given = [one for reading in readings for one in reading.given]
    faults = [fault for reading in readings for fault in reading.faults]
    profile = _profile(given)
    tree, origins = merged([*_profile_defaults(profile), *given])
    tree.setdefault("profile", profile.value)
    file = displayed(project.file) if project.file else ""
    found = validated(tree, origins, file=file)
    faults += [fault for fault in found.faults if fault.origin]
    faults += _inconsistent(found, tree, origins, file)
    if files_exist and project.file is not None:
        faults += _absent(project.source, found, origins, file)
    return Looked(
        source=project.source,
        file=project.file,
        faults=faults,
        sections=(found.repaired | found.sections) if project.file else {},
        origins=origins,
    )


def _taken(overrides: Sequence[Given]) -> Reading:
    reading = Reading()
    for one in overrides:
        reading.take(one.path, one.value, one.origin)
    return reading


def _profile(given: Sequence[Given]) -> ProfileName:
    """The profile that was named, else the platform's; a wrong name is reported later."""
    named = {one.path: one.value for one in given if len(one.path) == 1}
    try:
        if ("profile",) in named:
            return ProfileName(named["profile",])  # type: ignore[arg-type]  # checked by it
        return profile_for(Platform(named.get(("platform",), Platform.LOCAL)))  # type: ignore[arg-type]
    except ValueError:
        return ProfileName.PRODUCTION


def _profile_defaults(profile: ProfileName) -> Sequence[Given]:
    return [
        Given(tuple(key.split(".")), value, f"profile {profile}")
        for key, value in PROFILES[profile].defaults.items()
    ]


def _inconsistent(
    found: Validation, tree: Mapping[str, Any], origins: Mapping[KeyPath, str], file: str
) -> list[Fault]:
    return [
        Fault(
            origin=origin_of(path, origins, file),
            key=dotted(path),
            value=_as_given(path, tree, value),
            message=message,
        )
        for path, value, message in problems(found.sections | found.repaired)
        if not found.blames_dropped(path, message)
    ]


def _as_given(path: Sequence[str | int], tree: Mapping[str, Any], value: object) -> str:
    """The value as the user wrote it, `5` and not `5.0`; nothing where it says nothing."""
    if value is None:
        return ""
    written = value_at(path, tree)
    return shown(path, value if written is None else written)


def _absent(
    source: Path, found: Validation, origins: Mapping[KeyPath, str], file: str
) -> list[Fault]:
    return [
        Fault(
            origin=origin_of(path, origins, file),
            key=dotted(path),
            value=shown(path, name),
            message=f"there is no such file in {displayed(source)}",
            remedy=_NO_ROWS if path == ("data", "path") else "",
        )
        for path, name in _named_files(found.sections | found.repaired)
        if not _is_file(source / name)
    ]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long to be one
        return False


def _named_files(sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if "data" in sections and sections["data"].path is not None:
        yield ("data", "path"), sections["data"].path
    if "environment" in sections:
        for position, name in enumerate(sections["environment"].requirements):
            yield ("environment", "requirements", position), name
