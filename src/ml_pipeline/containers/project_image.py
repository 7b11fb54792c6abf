"""A project's own image, which every cloud trains and serves with: docs/containers.md."""

import dagger
from dagger import dag

from ml_pipeline.containers.bench import LEFT_OUT, Bench, Uses, volume
from ml_pipeline.containers.image import PROGRAM, UV_CACHE, pipeline_image
from ml_pipeline.containers.project import Names, names_of
from ml_pipeline.domain.cloud_image import ENTRY, PROJECT, PROJECT_ENV

#: Files that say what a project needs; only an edit to one of these makes its environment again.
DECLARE = [
    "**/*.toml", "**/*.lock", "**/*.txt", "**/*.cfg", "**/*.in", "**/*.pip", "**/setup.py",
    "**/.python-version",
]  # fmt: skip
_MADE = "/opt/project-state"


async def project_image(bench: Bench) -> dagger.Container:
    """The pipeline's entry program, the project's code and the environment it trains in.

    Rows come with a job, so those of the bench are not in it.
    """
    names = await names_of(bench.source)
    code = bench.source.filter(exclude=LEFT_OUT, gitignore=True)
    code = code if names.folder == "." else code.directory(names.folder)
    made = await _environment(bench, names, code)
    (key,) = [name.rstrip("/") for name in await made.entries() if not name.endswith(".lock")]
    box = pipeline_image(bench.base_image, ("container",), bench.index)
    return (
        box.with_directory(f"{_MADE}/envs", made)
        .with_symlink(f"{_MADE}/envs/{key}/venv", PROJECT_ENV)
        .with_directory(PROJECT, code)
        .with_entrypoint(list(ENTRY))
        .without_default_args()
    )


async def _environment(bench: Bench, names: Names, code: dagger.Directory) -> dagger.Directory:
    """The folder with the project's environment, made where it will lie in the image.

    All of the project's folders are there, as they say what can be imported, and none of its code.
    """
    bare = dag.directory()
    for path in await code.glob("**"):
        bare = bare.with_new_directory(path.rstrip("/")) if path.endswith("/") else bare
    bare = bare.with_directory(".", code.filter(include=DECLARE))
    box = pipeline_image(bench.base_image, ("core",), bench.index)
    box = box.with_mounted_cache(UV_CACHE, volume(names, "uv", Uses.RUNS))
    box = box.with_directory(PROJECT, bare).with_workdir(PROJECT)
    command = [PROGRAM, "prepare", "--source", ".", "--state", _MADE, *bench.sets()]
    return box.with_exec(command).directory(f"{_MADE}/envs")
