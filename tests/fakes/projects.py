"""Small projects and wheels made on the spot, so that no test needs a package index."""

import os
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.runner import LocalRunner
from ml_pipeline.domain.policies.training import EnvironmentPolicy

PLAIN = '[project]\nname = "plain"\nversion = "1.0"\ndependencies = []\n'


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Files below a folder, their text dedented."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def write_wheel(
    folder: Path, name: str, version: str = "1.0", *, requires: Sequence[str] = (), code: str = ""
) -> None:
    """A wheel with one module of that name, whose `version` is its own."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", f"version = {version!r}\n{code}")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def caller(wheels: Path | None = None, **more: str) -> dict[str, str]:
    """The environment of a person whose packages all lie in a folder; no index is asked."""
    offline = {"PIP_NO_INDEX": "1"} | ({"UV_FIND_LINKS": str(wheels)} if wheels else {})
    ours = os.environ  # noqa: TID251 - a test stands where a person would
    kept = {name: ours[name] for name in ("HOME", "PATH") if name in ours}
    return {**kept, **offline, **more}


def runner_of(
    source: Path,
    state: Path,
    *,
    clock: HostClock | None = None,
    environ: Mapping[str, str] | None = None,
    **policy: object,
) -> LocalRunner:
    """A runner for a project; `policy` are keys of `[environment]`."""
    return LocalRunner(
        source=source,
        state=state,
        policy=EnvironmentPolicy.model_validate(policy),
        clock=clock or HostClock(),
        environ=caller() if environ is None else environ,
    )
