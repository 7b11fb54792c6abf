"""Images: the pipeline with what one kind of stage needs, and the project's own for a cloud.

Layers go from what changes seldom to what changes often: base, uv, dependencies, the pipeline.
A project is laid in last, so that an edit to it installs nothing again; the environment of a
project's own image is made from the files alone that say what it needs.
"""

from importlib.metadata import metadata

import dagger
from dagger import dag

from ml_pipeline.domain.cloud_image import HOME, PYTHON

#: Everything below is built on it, unless `--base-image` names another one with Python >= 3.11.
BASE_IMAGE = "python:3.13-slim"
#: What the pipeline's own package can be installed with, among it one extra a platform.
_EXTRAS = frozenset(metadata("ml-pipeline").get_all("Provides-Extra") or ())

_CODE = "/opt/pipeline"
_INSTALL = "/opt/install.py"
#: Where uv keeps what it downloaded.
UV_CACHE = "/var/cache/uv"
#: The pipeline's command in every image.
PROGRAM = f"{HOME}/bin/ml-pipeline"


def extras(stage_extra: str, platform: str) -> tuple[str, ...]:
    """What is installed for a stage: the core, what loads models, and one platform's packages.

    The pipeline in the container says what is wrong with a platform that has none.

    >>> extras("core", "local"), extras("local", "local"), extras("local", "mars")
    (('core',), ('core', 'models', 'local'), ('core', 'models'))
    """
    if stage_extra == "core":
        return ("core",)
    if stage_extra == "models" or platform not in _EXTRAS:
        return ("core", "models")
    return ("core", "models", platform)


def pipeline_image(
    base_image: str, wanted: tuple[str, ...], index: dagger.Secret | None
) -> dagger.Container:
    """The pipeline, installed in an environment of its own.

    Args:
        base_image: with Python >= 3.11 on its PATH.
        wanted: extras of the pipeline's own package.
        index: URL of a package index, which may hold a password.
    """
    code = dag.current_module().source()
    program = code.file("src/ml_pipeline/containers/install.py")
    image = dag.container().from_(base_image).with_file(_INSTALL, program)
    image = _reaching_an_index(image, index)
    image = _installed(image, "Python's venv", "python", "-m", "venv", HOME)
    image = _installed(image, "uv", PYTHON, "-m", "pip", "install", "uv")
    if wanted != ("core",):
        image = image.with_exec(["python", _INSTALL, "--compiler"])
    options = [word for extra in wanted for word in ("--extra", extra)]
    image = image.with_workdir(_CODE).with_file("pyproject.toml", code.file("pyproject.toml"))
    # The date in [tool.uv] is for an index that says when files came; many private ones do not,
    # and then uv would take nothing.
    plain = () if index is None else ("--no-config",)
    what = "the pipeline's dependencies"
    image = _with_uv(image, what, *plain, "-r", "pyproject.toml", *options)
    image = image.with_file("README.md", code.file("README.md"))
    image = image.with_directory("src", code.directory("src"), exclude=["**/__pycache__"])
    return _with_uv(image, "the pipeline", *plain, "--no-deps", ".").with_workdir("/")


def _reaching_an_index(image: dagger.Container, index: dagger.Secret | None) -> dagger.Container:
    """Let uv and pip find packages: by the machine's own certificates, from the given index."""
    image = (
        image.with_env_variable("UV_SYSTEM_CERTS", "1")  # uv from 0.13; the engine puts a
        .with_env_variable("UV_NATIVE_TLS", "1")  # TLS-inspecting proxy's own there
        .with_env_variable("UV_LINK_MODE", "copy")
        .with_env_variable("UV_CACHE_DIR", UV_CACHE)
        .with_mounted_cache(UV_CACHE, dag.cache_volume("ml-pipeline-uv"))
    )
    if index is None:
        return image
    return image.with_secret_variable("UV_DEFAULT_INDEX", index).with_secret_variable(
        "PIP_INDEX_URL", index
    )


def _with_uv(image: dagger.Container, what: str, *words: str) -> dagger.Container:
    command = (PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON)
    return _installed(image, what, *command, *words)


def _installed(image: dagger.Container, what: str, *command: str) -> dagger.Container:
    return image.with_exec(["python", _INSTALL, what, *command])
