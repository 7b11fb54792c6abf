"""A model in a cloud's container: `python -m ml_pipeline.entry.serve [options of the server]`.

Finds the package the cloud mounted or names, and serves it at the cloud's port and routes.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_pipeline.domain.errors import ConfigurationError, DataError, PipelineError
from ml_pipeline.entry import moving
from ml_pipeline.entry.layouts import ServingPlaces, serving_places
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.registry import PACKAGE
from ml_pipeline.serving import server
from ml_pipeline.serving.package import MANIFEST


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; the exit code. `argv` are options of the model server, which win."""
    environ = dict(os.environ)  # noqa: TID251 - a container's program reads its environment
    with tempfile.TemporaryDirectory(prefix="ml-pipeline-") as folder:
        try:
            places = serving_places(environ)
            mount = Path(environ.get(told.ROOT) or moving.MOUNT)
            model = moving.bring(places.model, Path(folder) / "model", mount=mount)
            options = _options(places, package_below(model), environ)
        except PipelineError as error:
            print(f"ml-pipeline: {error}. {error.remedy}", file=sys.stderr)  # noqa: T201 - the log
            return int(error.exit_code)
        return server.main([*options, *(sys.argv[1:] if argv is None else argv)])


def package_below(model: Path) -> Path:
    """The one package in what a cloud gave: itself, in a bundle, or one folder further down.

    Raises:
        DataError: there is none, or several.
    """
    looked = [model, model / PACKAGE]
    if model.is_dir():
        for inner in sorted(one for one in model.iterdir() if one.is_dir()):
            looked += [inner, inner / PACKAGE]
    found = sorted({one for one in looked if (one / MANIFEST).is_file()})
    if len(found) != 1:
        inside = sorted(one.name for one in model.iterdir()) if model.is_dir() else []
        raise DataError(
            f"{model} should hold one package ({MANIFEST}), but holds {len(found)};"
            f" there is {', '.join(inside[:10]) or 'nothing'}",
            remedy="Register the bundle, or the package itself, as the model's files.",
        )
    return found[0]


def _options(places: ServingPlaces, package: Path, environ: Mapping[str, str]) -> list[str]:
    """What the model server is started with."""
    try:
        trusted = json.loads(environ.get(told.TRUSTED_TYPES) or "[]")
        trusted = [str(one) for one in trusted]
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{told.TRUSTED_TYPES} is no JSON list", remedy="Write it as JSON."
        ) from error
    return [
        "--package", str(package),
        "--host", "0.0.0.0",  # noqa: S104 - of a container, whose ports its cloud guards
        "--port", str(places.port),
        "--slot", places.slot,
        "--version", places.version,
        *(f"--route={path}={to}" for path, to in places.routes.items() if path != to),
        *(f"--trusted-type={one}" for one in trusted),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
