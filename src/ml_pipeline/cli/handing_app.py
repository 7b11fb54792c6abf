"""The command groups `platform` and `evidence`."""

from pathlib import Path
from typing import Annotated

import typer

from ml_pipeline.cli.arguments import Runs, Sets, Source, State, Wait, place_of

platform_app = typer.Typer(
    help="The embedded platform: registry, router and model servers on this machine.",
    no_args_is_help=True,
)
evidence_app = typer.Typer(help="Evidence of runs, to and from elsewhere.", no_args_is_help=True)


@evidence_app.command("export")
def evidence_export(
    output: Annotated[Path, typer.Option("--output", help="Folder to write to.")],
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
) -> int:
    """Copy a run [default: newest], whatever it came to, with report and outcome on top."""
    from ml_pipeline.cli.handing import give_evidence

    return give_evidence(place_of(source, state, runs), run_id, output)


@evidence_app.command("import")
def evidence_import(
    folder: Path, source: Source = None, state: State = None, runs: Runs = None
) -> int:
    """Lay a run from elsewhere beside this project's runs."""
    from ml_pipeline.cli.handing import take_evidence

    return take_evidence(place_of(source, state, runs), folder)


@platform_app.command("serve")
def platform_serve(
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option("--port", help="Public port.")] = None,
    sets: Sets = None,
) -> int:
    """Run the embedded platform in the foreground until it is told to stop."""
    from ml_pipeline.cli.handing import serve

    return serve(place_of(source, state, runs, sets), host, port)


@platform_app.command("export")
def platform_export(
    folder: Path,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
) -> int:
    """Write registry, platform and runs to a folder, without tokens."""
    from ml_pipeline.cli.handing import give_state

    return give_state(place_of(source, state, runs, sets), folder)


@platform_app.command("import")
def platform_import(
    folder: Path,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    wait: Wait = False,
) -> int:
    """Begin with exported state, where there is none yet."""
    from ml_pipeline.cli.handing import take_state

    return take_state(place_of(source, state, runs, sets), folder, wait=wait)


@platform_app.command("up")
def platform_up(
    source: Source = None,
    state: State = None,
    port: Annotated[int | None, typer.Option("--port", help="Public port on 127.0.0.1.")] = None,
) -> int:
    """Start the embedded platform and leave it running."""
    from ml_pipeline.cli.looking import bring_up

    return bring_up(place_of(source, state, None), port)


@platform_app.command("down")
def platform_down(source: Source = None, state: State = None) -> int:
    """Stop the embedded platform; its state is kept."""
    from ml_pipeline.cli.looking import take_down

    return take_down(place_of(source, state, None))


@platform_app.command("status")
def platform_status(source: Source = None, state: State = None) -> int:
    """What the embedded platform serves, and with which weights."""
    from ml_pipeline.cli.looking import show_platform

    return show_platform(place_of(source, state, None))


@platform_app.command("costs")
def platform_costs(source: Source = None, state: State = None, sets: Sets = None) -> int:
    """What this project leaves running on its platform, and since when."""
    from ml_pipeline.cli.looking import show_costs

    return show_costs(place_of(source, state, None, sets))
