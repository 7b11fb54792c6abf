"""What the functions of the module do with a bench: one command of the pipeline each."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dagger

from ml_pipeline.containers.bench import EVIDENCE, OUT, Bench, Uses
from ml_pipeline.containers.endings import PUSHING, documented, named
from ml_pipeline.containers.project_image import project_image
from ml_pipeline.containers.run import Run
from ml_pipeline.domain.errors import ExitCode
from ml_pipeline.pipeline import StageSpec

F = TypeVar("F", bound=Callable[..., Any])
#: The call goes on whatever a command ends with.
ANY = dagger.ReturnType.ANY


def never_cached(method: F) -> F:
    """A function of the module that is run at every call: it has a side effect or a clock."""
    marked = dagger.function(cache="never")  # type: ignore[call-overload]  # a hole in its stubs
    return marked(method)  # type: ignore[no-any-return]


def options(**given: str | bool) -> list[str]:
    """Options of the pipeline's command; what is empty or false is left out.

    >>> options(run_id="a", force=True, reason="", wait=False)
    ['--run-id', 'a', '--force']
    """
    words = []
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if value:
            words += [option] if value is True else [option, str(value)]
    return words


@documented
async def told(
    bench: Bench, *words: str, run: str = "", extra: str = "local", uses: Uses = Uses.STATE
) -> str:
    """What a command of the pipeline prints; its exit code becomes that of the call."""
    box = await bench.container(extra, uses, waits="--wait" in words)
    return await box.with_exec(bench.command(*words, uses=uses, run=run)).stdout()


@documented
async def stage(
    bench: Bench,
    one: StageSpec,
    run: str,
    evidence: dagger.Directory | None,
    flags: Sequence[str],
) -> str:
    """What one stage prints.

    A pure stage that needs nothing is its container's last step, which the engine answers from
    its cache while the content is the same; a step that failed is never cached. A pure stage
    that needs data, and is given no run, has it fetched: its answer is then kept by content in
    the checks' volume of kept answers, and the run this makes in that of their evidence.
    """
    check = one.pure and bool(one.needs) and not run and evidence is None
    if one.pure and not one.needs:
        uses, run = Uses.CONTENT, one.id
    elif check:
        uses = Uses.CHECKS
    else:
        uses = Uses.STATE if one.extra == "local" else Uses.RUNS
    box = await bench.container(one.extra, uses)
    if check:
        run = bench.call
        box = box.with_exec(bench.command("run", "fetch-data", "--run", run, *flags, uses=uses))
    words = options(run=run)
    if evidence is not None:
        box = box.with_mounted_directory(EVIDENCE, evidence)
        words += ["--evidence", EVIDENCE]
    return await box.with_exec(bench.command("run", one.id, *words, *flags, uses=uses)).stdout()


@documented
async def whole(bench: Bench, run: str, *flags: str) -> Run:
    """A whole run, whatever it came to; one that left no evidence is an error."""
    box = await bench.container("local", waits="--wait" in flags)
    export = bench.command("evidence", "export", "--output", OUT, run=run or bench.call)
    began = run and await box.with_exec(export, expect=ANY).exit_code() == ExitCode.DONE
    command = bench.command("full-pipeline", "--run-id", run or bench.call, *flags)
    # A run of that id that is there already is refused, and its evidence is not this call's.
    box = box.with_exec(command, expect=dagger.ReturnType.SUCCESS if began else ANY)
    box = box.with_exec(export)
    return Run(evidence=await box.directory(OUT).sync())  # type: ignore[call-arg]  # a dataclass


@documented
async def evidence_of(bench: Bench, run: str) -> dagger.Directory:
    """A run's evidence, or that of a check where no other run is called so."""
    command = bench.command("evidence", "export", "--output", OUT, run=run)
    box = await bench.container("core", Uses.RUNS)
    done = box.with_exec(command, expect=ANY)
    code = await done.exit_code()
    if code == ExitCode.DONE:
        return await done.directory(OUT).sync()
    if code == ExitCode.CONFIGURATION:
        box = await bench.container("core", Uses.CHECKS)
    return await box.with_exec(command).directory(OUT).sync()


@documented
async def state_of(bench: Bench) -> dagger.Directory:
    """The project's state without tokens."""
    box = await bench.container("core")
    return await box.with_exec(bench.command("platform", "export", OUT)).directory(OUT).sync()


@documented
async def built(bench: Bench) -> dagger.Container:
    """The project's image."""
    return await (await project_image(bench)).sync()


@documented
async def published(
    bench: Bench, address: str, username: str, password: dagger.Secret | None
) -> str:
    """The project's image, pushed; its address with digest."""
    image = await (await project_image(bench)).sync()
    if password is not None:
        image = image.with_registry_auth(address, username, password)
    with named(PUSHING):
        return await image.publish(address)


@documented
async def platform(bench: Bench, port: int) -> dagger.Service:
    """The embedded platform in the foreground, reached from outside its container."""
    box = await bench.container("local")
    everywhere = "0.0.0.0"  # noqa: S104 - of its container, whose ports the engine guards
    listen = bench.command("platform", "serve", "--host", everywhere, "--port", str(port))
    return box.with_exposed_port(port).as_service(args=listen)
