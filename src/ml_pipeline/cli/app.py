"""The commands; each opens a session and says what came of it."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ml_pipeline.cli.arguments import (
    Reason,
    RunId,
    Runs,
    Sets,
    Source,
    State,
    Trigger,
    Wait,
    place_of,
    show_version,
)
from ml_pipeline.cli.handing_app import evidence_app, platform_app

app = typer.Typer(
    name="ml-pipeline",
    help="From a commit to users: train, judge, stage, load-test and roll out a model.",
    epilog=(
        "Exit codes: 0 done, 1 bug, 2 no improvement, 3 checks red, 4 configuration, 5 data,"
        " 6 refused, 7 unavailable, 8 time limit, 9 rolled back, 10 inconclusive, 130 interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(platform_app, name="platform")
app.add_typer(evidence_app, name="evidence")


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """From a commit to users: train, judge, stage, load-test and roll out a model."""


@app.command("full-pipeline")
def full_pipeline(
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    run_id: RunId = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train although nothing changed or the guard holds.")
    ] = False,
    force_promote: Annotated[
        bool, typer.Option("--force-promote", help='Pass the verdict "no improvement"; no fault.')
    ] = False,
    reason: Reason = "",
    chaos: Annotated[
        str,
        typer.Option(
            "--chaos", help="A drill in production: errors=0.2, slow_ms=800, crash_after=50."
        ),
    ] = "",
    cutoff_date: Annotated[
        datetime | None,
        typer.Option("--cutoff-date", help="Hold out the rows at or after it."),
    ] = None,
    wait: Wait = False,
    trigger: Trigger = "manual",
) -> int:
    """Everything: data, checks, training, verdict, staging, load test, rollout, report."""
    from ml_pipeline.cli.running import full

    asked = {
        "force": force, "force_promote": force_promote, "reason": reason, "chaos": chaos,
        "cutoff": cutoff_date, "trigger": trigger,
    }  # fmt: skip
    return full(place_of(source, state, runs, sets), run_id, asked, wait=wait)


@app.command()
def ci(
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    run_id: RunId = None,
    wait: Wait = False,
    trigger: Trigger = "pull-request",
) -> int:
    """The checks of a pull request: lint, unit tests, data, smoke training, report."""
    from ml_pipeline.cli.running import checks

    return checks(place_of(source, state, runs, sets), run_id, {"trigger": trigger}, wait=wait)


@app.command()
def run(
    stage: Annotated[str, typer.Argument(help="A stage's name, such as load-test.")],
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    on: Annotated[
        str | None, typer.Option("--run", help="The run whose evidence it uses [default: newest].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="As in full-pipeline.")] = False,
    force_promote: Annotated[
        bool, typer.Option("--force-promote", help="As in full-pipeline.")
    ] = False,
    reason: Reason = "",
    chaos: Annotated[str, typer.Option("--chaos", help="As in full-pipeline.")] = "",
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="A run's folder from elsewhere, instead.")
    ] = None,
    wait: Wait = False,
) -> int:
    """One stage alone, on an earlier run's evidence."""
    from ml_pipeline.cli.running import single

    place = place_of(source, state, runs, sets)
    if evidence is not None:
        from ml_pipeline.cli.handing import taken_in

        on = taken_in(place, evidence, on)
    asked = {"force": force, "force_promote": force_promote, "reason": reason, "chaos": chaos}
    return single(place, stage, on, asked, wait=wait)


@app.command()
def resume(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="Approve a run that waits for a person.")
    ] = False,
    reason: Reason = "",
    wait: Wait = False,
) -> int:
    """Continue a run that was interrupted or waits for approval [the newest]."""
    from ml_pipeline.cli.running import resumed

    asked = {"approve": approve, "reason": reason}
    return resumed(place_of(source, state, runs), run_id, asked, wait=wait)


@app.command()
def abort(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    wait: Wait = False,
) -> int:
    """Cancel what a run left running and give the champion its traffic back."""
    from ml_pipeline.cli.running import aborted

    return aborted(place_of(source, state, runs, sets), run_id, wait=wait)


@app.command()
def rollback(
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    sets: Sets = None,
    reason: Reason = "",
    wait: Wait = False,
) -> int:
    """Give traffic and the champion's name back to the version that served before."""
    from ml_pipeline.cli.running import rolled_back

    return rolled_back(place_of(source, state, runs, sets), reason, wait=wait)


@app.command()
def status(source: Source = None, state: State = None, runs: Runs = None, sets: Sets = None) -> int:
    """The champion, what serves, and the newest runs."""
    from ml_pipeline.cli.looking import show_status

    return show_status(place_of(source, state, runs, sets))


@app.command()
def report(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    source: Source = None,
    state: State = None,
    runs: Runs = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder to write to [default: the run's].")
    ] = None,
) -> int:
    """Write a run's report again, and print its summary."""
    from ml_pipeline.cli.looking import write_report

    return write_report(place_of(source, state, runs), run_id, output)


@app.command()
def init(source: Source = None) -> int:
    """Write a commented configuration for an existing project."""
    from ml_pipeline.cli.projects import initialise

    return initialise(source)


@app.command()
def doctor(source: Source = None, sets: Sets = None) -> int:
    """Say what is missing to run."""
    from ml_pipeline.cli.projects import examine

    return examine(source, sets or [])


@app.command("adapter-check")
def adapter_check(
    platform: Annotated[str, typer.Argument(help="local, sagemaker, azureml or vertex.")],
    source: Source = None,
    sets: Sets = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="artifacts, registry, training or serving; repeatable."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Use a real cloud, with this environment's credentials.")
    ] = False,
) -> int:
    """Hold a platform's adapters against their contract, and clean up."""
    from ml_pipeline.cli.checking import check_adapter

    return check_adapter(place_of(source, None, None, sets), platform, only or [], live=live)


@app.command()
def config(
    key: Annotated[
        str, typer.Argument(metavar="[KEY]", help="A key or a section, such as gate.limit.")
    ] = "",
    source: Source = None,
    sets: Sets = None,
) -> int:
    """Every effective setting, or those of a key, and where each came from."""
    from ml_pipeline.cli.projects import explain

    return explain(source, sets or [], key)


@app.command()
def prepare(
    source: Source = None, state: State = None, runs: Runs = None, sets: Sets = None
) -> int:
    """Make the project's environment, so that later commands find it."""
    from ml_pipeline.cli.handing import make_environment

    return make_environment(place_of(source, state, runs, sets))
