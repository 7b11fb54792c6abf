"""Single steps for teams that wire their own workflow; the files in `ci/` call these.

Each works on one run, named by `--run`, and hands over by that run's evidence: the steps may run
on different machines when state and runs are carried along. The last line printed is JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ml_pipeline.adapters.local.evidence import append_journal, newest_result
from ml_pipeline.cli.ending import ended
from ml_pipeline.cli.opening import Place, open_session
from ml_pipeline.domain.errors import ConfigurationError, ExitCode
from ml_pipeline.domain.evidence import EXIT_CODES, StageResult, Status
from ml_pipeline.pipeline import STAGES, conclude, spec
from ml_pipeline.ports.evidence import RunOptions
from ml_pipeline.ports.training import JobRef, ended_with_us
from ml_pipeline.session.running import Session
from ml_pipeline.stages import train

_Work = Callable[[Session, argparse.Namespace], int]


def submit_training_job() -> int:
    """Fetch the data unless this run has them, submit a training, and do not wait for it."""

    def work(session: Session, asked: argparse.Namespace) -> int:
        if _newest(session, asked.run, "fetch-data") is None:
            code = _stages(session, asked, "fetch-data")
            if code:
                return code
        wiring = session.wiring
        # An attempt without a result is one that was interrupted: the stage `train` takes over.
        stage = wiring.runs.begin(asked.run, "train")
        settings = session.settings
        request = train.request_of(
            stage,
            source=settings.source,
            project=wiring.project,
            data=settings.data,
            train=settings.train,
            hyperparameters=settings.hyperparameters,
            variables=settings.environment.variables,
        )
        train.announce(
            stage, request, train.digest_of(request, _options(session, asked).source_digest)
        )
        job = train.submit(request, wiring.training, session.clock)
        with ended_with_us(job, wiring.training, session.clock, stage.journal):
            url = train.told(job, wiring.training, stage.journal)
            _answer(run=asked.run, platform=job.platform, job=job.name, url=url)
        return ExitCode.DONE

    return _program(submit_training_job, work, starts=True)


def wait_for_job() -> int:
    """Wait for a run's training; a wait that ends early cancels the job and sees it end."""

    def work(session: Session, asked: argparse.Namespace) -> int:
        job = _job(session, asked.run)
        folder = session.wiring.runs.folder(asked.run)

        def journal(event: str, **facts: Any) -> None:
            append_journal(folder, session.clock, event, **facts)

        wiring, policy = session.wiring, session.settings.train
        train.wait_for(job, wiring.training, policy, session.clock, journal, wiring.spot_wait_s)
        _answer(run=asked.run, job=job.name, state=wiring.training.state(job))
        return ExitCode.DONE

    return _program(wait_for_job, work)


def get_job_metrics() -> int:
    """Print the metrics a run's training reported, checked to be finite numbers."""

    def work(session: Session, asked: argparse.Namespace) -> int:
        result = session.wiring.training.result(_job(session, asked.run))
        _answer(run=asked.run, metrics=dict(result.metrics), model_uri=result.model_uri)
        return ExitCode.DONE

    return _program(get_job_metrics, work)


def compare_models() -> int:
    """Bring the trained model home, score it and the champion on the held-out rows, and judge."""
    return _program(compare_models, _running("train", "evaluate", "compare"))


def register_model() -> int:
    """Package the model and register it as a new version, under the alias `challenger`."""
    return _program(register_model, _running("package", "register"))


def deploy_to_staging() -> int:
    """Deploy the registered version to staging, and question it there."""
    return _program(deploy_to_staging, _running("deploy-staging"))


def load_test() -> int:
    """Put the staged version under load."""
    return _program(load_test, _running("load-test"))


def gradual_promote() -> int:
    """Deploy the version beside the champion and shift traffic to it; back again on harm."""
    return _program(gradual_promote, _running("approve", "deploy-production", "shift-traffic"))


def archive_old_model() -> int:
    """Move the alias `champion` to the version that has the traffic, and keep few others."""
    return _program(archive_old_model, _running("archive"))


def notify() -> int:
    """Write the run's report and tell people what it came to."""
    return _program(notify, _running("report", "notify"))


def _program(named: Callable[[], int], work: _Work, *, starts: bool = False) -> int:
    """Parse the options every program has, and do the work while no other run does any."""
    return ended(lambda **_: _alone(_parser(named, starts=starts), work, starts=starts))


def _alone(parser: argparse.ArgumentParser, work: _Work, *, starts: bool) -> int:
    try:
        asked = parser.parse_args()
    except SystemExit as error:  # argparse ends usage errors with 2: "no improvement" here
        return ExitCode.CONFIGURATION if error.code else ExitCode.DONE
    place = Place(source=asked.source, state=asked.state, runs=asked.runs, sets=tuple(asked.set))
    session, shown = open_session(place)
    if asked.run is None:
        asked.run = session.new_run_id() if starts else session.wiring.runs.newest()
    if asked.run is None:
        raise ConfigurationError("there is no run yet", remedy="Begin with submit_training_job.")
    try:
        with session.alone(asked.run, wait=asked.wait):
            return work(session, asked)
    finally:
        shown.close()


def _running(*ids: str) -> _Work:
    return lambda session, asked: _stages(session, asked, *ids)


def _options(session: Session, asked: argparse.Namespace) -> RunOptions:
    return session.options(
        trigger="program",
        reason=asked.reason,
        approve=asked.approve,
        force_promote=asked.force_promote,
    )


def _stages(session: Session, asked: argparse.Namespace, *ids: str) -> int:
    """Run stages of a run; the exit code says what these came to."""
    options = _options(session, asked)
    others = {
        one.id: found
        for one in STAGES
        if one.id not in ids and (found := _newest(session, asked.run, one.id)) is not None
    }
    record = session.run(asked.run, [spec(one) for one in ids], options, asked.set, others)
    mine = [one for one in record.stages if one.stage in ids]
    outcome, ender = conclude(mine)
    failed = ender.exit_code if ender is not None and ender.status is Status.ERROR else None
    _answer(
        run=asked.run,
        outcome=outcome,
        stages={one.stage: one.status for one in mine},
        message=ender.message if ender else mine[-1].message,
    )
    return int(EXIT_CODES[outcome]) if failed is None else failed


def _newest(session: Session, run_id: str, stage: str) -> StageResult | None:
    return newest_result(session.wiring.runs.folder(run_id), stage)


def _job(session: Session, run_id: str) -> JobRef:
    job = session.wiring.training.find(session.wiring.project, run_id)
    if job is None:
        raise ConfigurationError(
            f"run {run_id} has no training job", remedy="Begin with submit_training_job."
        )
    return job


def _answer(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - the next step reads it


def _parser(named: Callable[[], int], *, starts: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=Path(sys.argv[0]).name, description=named.__doc__)
    which = "id of the new run" if starts else "the run [default: newest]"
    options: Sequence[tuple[str, dict[str, Any]]] = (
        ("--run", {"help": which}),
        ("--source", {"type": Path, "help": "the project's folder [default: this one]"}),
        ("--state", {"type": Path, "help": "as for ml-pipeline"}),
        ("--runs", {"type": Path, "help": "as for ml-pipeline"}),
        ("--set", {"action": "append", "default": [], "metavar": "KEY=VALUE"}),
        ("--reason", {"default": "", "help": "why; stands in the evidence"}),
        ("--approve", {"action": "store_true", "help": "pass the approval by hand"}),
        ("--force-promote", {"action": "store_true", "help": 'pass "no improvement"'}),
        ("--wait", {"action": "store_true", "help": "wait for another run to end first"}),
    )
    for name, more in options:
        parser.add_argument(name, **more)
    return parser
