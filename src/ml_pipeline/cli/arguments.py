"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

Source = Annotated[
    Path | None, typer.Option("--source", help="The project's folder [default: this one].")
]
State = Annotated[
    Path | None,
    typer.Option("--state", help="Registry, environments, caches [default: SOURCE/.ml-pipeline]."),
]
Runs = Annotated[
    Path | None, typer.Option("--runs", help="Evidence of all runs [default: SOURCE/runs].")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run; repeatable."),
]
RunId = Annotated[str | None, typer.Option("--run-id", help="Id of the new run.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; stands in the evidence.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run to end first.")]
Trigger = Annotated[str, typer.Option("--trigger", help="What started it; stands in the evidence.")]


def place_of(
    source: Path | None, state: Path | None, runs: Path | None, sets: list[str] | None = None
) -> Any:
    """Where a command works; imported late, so that `--help` is quick."""
    from ml_pipeline.cli.opening import Place

    return Place(source=source, state=state, runs=runs, sets=tuple(sets or ()))


def show_version(asked: bool) -> None:
    """`--version`: what is installed, and nothing else is done."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"ml-pipeline {version('ml-pipeline')}")
        raise typer.Exit
