"""A training in a cloud's container: `python -m ml_pipeline.entry.train [--data …] [--output …]`.

Translates the cloud's own contract to the pipeline's (an argv with `{data}` and `{output}`, an
artifact and a metrics file left in the latter) and back. Whether what was left is good is judged
by the pipeline, for every platform alike. The whole contract stands in docs/containers.md.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_pipeline.domain.cloud_image import PROJECT_ENV
from ml_pipeline.domain.commands import fill, hyperparameter_words
from ml_pipeline.domain.errors import DataError, ExitCode, PipelineError
from ml_pipeline.domain.reported_metrics import reported_metrics
from ml_pipeline.entry import moving, tracking
from ml_pipeline.entry.child import Ended, run_to_end
from ml_pipeline.entry.layouts import Layout, TrainingPlaces, training_places
from ml_pipeline.ports import containers as told
from ml_pipeline.ports.training_output import (
    NOTHING,
    metrics_text,
    require_file,
    what_was_left,
)

#: SageMaker shows the first 1,024 characters of the failure file.
_FAILURE_CHARS = 1024
_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY$")
_SECRET_LENGTH = 6
_MODULES = "PYTHONPATH"


def main(argv: Sequence[str] | None = None) -> int:
    """Train, and leave everything where the cloud collects it; the exit code.

    0 says only that the command ended well. Otherwise its own code, 128 + N when it was ended by
    signal N, or the pipeline's code when the container was told wrong things.
    """
    arguments = _parser().parse_args(argv)
    environ = dict(os.environ)  # noqa: TID251 - a container's program reads its environment
    places: TrainingPlaces | None = None
    with tempfile.TemporaryDirectory(prefix="ml-pipeline-") as folder:
        scratch = Path(folder)
        try:
            places = training_places(
                environ, data=arguments.data, source=arguments.source, output=arguments.output
            )
            ended = _train(places, scratch, environ)
        except PipelineError as error:
            _say(f"{error}. {error.remedy}")
            _leave_failure(places, f"{error}. {error.remedy}", scratch, environ)
            return int(error.exit_code)
        if ended.code != 0 and ended.signal is None:
            reason = f"the training ended with exit code {ended.code}"
            _leave_failure(places, f"{reason}\n{ended.tail}", scratch, environ)
        return ended.code


def _train(places: TrainingPlaces, scratch: Path, environ: Mapping[str, str]) -> Ended:
    """Run the command in a scratch folder; what it left is handed over when it ended well."""
    job = told.job_of(places.variables)
    mount = Path(environ.get(told.ROOT) or moving.MOUNT)
    data = moving.only_file(moving.bring(places.data, scratch / "data", mount=mount), "the rows")
    brought = moving.bring(places.source, scratch / "fetched", mount=mount)
    source = moving.unpacked(brought, scratch / "source")
    output = scratch / "output"
    output.mkdir()
    words = hyperparameter_words(job.hyperparameters, job.style) if job.style else ()
    command = (*fill(job.argv, data=data, output=output), *words)
    _say(f"{places.layout}: {' '.join(command)}")
    ended = run_to_end(command, cwd=source, environ=_visible(environ, job.variables, source))
    if ended.signal is not None:
        _say(f"stopped by {signal.Signals(ended.signal).name}: nothing is handed over")
    elif ended.code == 0:
        _hand_over(places, output, job, environ)
    return ended


def _visible(
    environ: Mapping[str, str], variables: Mapping[str, str], source: Path
) -> dict[str, str]:
    """The container's environment, with the project's own programs, modules and variables first.

    The image's environment names folders of the image, whose modules may be of another commit.
    """
    home = environ.get(told.PROJECT_ENV) or PROJECT_ENV
    ours = {key: value for key, value in environ.items() if not key.startswith(told.PREFIX)}
    path = f"{home}/bin:{environ.get('PATH', os.defpath)}"
    modules = [variables.get(_MODULES), str(source / "src"), str(source), environ.get(_MODULES)]
    return {
        **ours,
        "PATH": path,
        "VIRTUAL_ENV": home,
        "PYTHONUNBUFFERED": "1",
        **variables,
        _MODULES: os.pathsep.join(filter(None, modules)),
    }


def _hand_over(
    places: TrainingPlaces, output: Path, job: told.ContainerJob, environ: Mapping[str, str]
) -> None:
    metrics = output / job.metrics
    text = _metrics_left(output, job)
    if what_was_left(output, job.artifact) == NOTHING:
        _say(f"the training left no model {job.artifact!r} in {{output}}")
    else:
        require_file(output, job.artifact, where="the training")
    moving.send(output, places.output, mount=Path(environ.get(told.ROOT) or moving.MOUNT))
    if text is None:
        _say(f"the training left no metrics {job.metrics!r} in {{output}}")
        return
    try:
        values = reported_metrics(text, where=job.metrics)
    except DataError as error:
        _say(f"metrics are not published: {error}")
        return
    for name, value in values.items():
        print(told.metric_line(name, value), flush=True)  # noqa: T201 - read from the log
    if places.layout is Layout.AZUREML:
        _say(tracking.publish(values, int(metrics.stat().st_mtime * 1000), environ))


def _metrics_left(output: Path, job: told.ContainerJob) -> str | None:
    """The metrics file's text, which then stands under our name for it too.

    None when there is no such file, for the pipeline to judge.
    """
    if what_was_left(output, job.metrics) == NOTHING:
        return None
    content = metrics_text(output, job.metrics, where="the training")
    ours = output / told.METRICS_FILE
    if what_was_left(output, ours.name) != NOTHING:
        require_file(output, ours.name, where="the training")
    if ours.resolve() != (output / job.metrics).resolve():
        ours.write_bytes(content)
    return content.decode(errors="replace")


def _leave_failure(
    places: TrainingPlaces | None, text: str, scratch: Path, environ: Mapping[str, str]
) -> None:
    """Say why where the cloud, or the pipeline's adapter, reads it; the end of a long text."""
    if places is None:
        return
    for name, value in environ.items():
        if _SECRET.search(name) and len(value) >= _SECRET_LENGTH:
            text = text.replace(value, "***")
    first, _, rest = text.partition("\n")
    room = _FAILURE_CHARS - len(first) - 1
    shown = f"{first}\n{rest[-room:]}" if rest and room > 0 else first[:_FAILURE_CHARS]
    try:
        mount = Path(environ.get(told.ROOT) or moving.MOUNT)
        moving.write(shown, places.failure, scratch, mount=mount)
    except (PipelineError, OSError) as error:
        _say(f"{places.failure} cannot be written: {error}")


def _say(line: str) -> None:
    print(f"ml-pipeline: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the job's log


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ml_pipeline.entry.train")
    parser.add_argument("--data", help="file with the training rows, or a folder with only it")
    parser.add_argument("--source", help="the project's code: a folder or a .tar.gz")
    parser.add_argument("--output", help="folder that is handed over")
    return parser


if __name__ == "__main__":
    code = main()
    sys.exit(code if 0 <= code <= 255 else ExitCode.BUG)
