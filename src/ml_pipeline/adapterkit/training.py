"""What every training platform and artifact store owes."""

from ml_pipeline.adapterkit.bench import TRAINING_ROWS, Bench, expect, expect_error
from ml_pipeline.domain.errors import DataError, PlatformRefusedError
from ml_pipeline.ports.training import JobRef, JobState, cancel_and_see

_NAN = '{"mae": NaN}'


def nobodys_run_has_no_job(bench: Bench) -> None:
    """A run nobody started has no job."""
    found = bench.parts.training.find(bench.model, f"{bench.run_id}-nobody")
    expect(found is None, f"found {found}")


def the_same_key_is_the_same_job(bench: Bench) -> None:
    """The same run and attempt are the same job, also from another machine."""
    first = bench.job("succeed")
    again = bench.another().training.submit(bench.request("succeed"))
    expect(again == first, f"{again.name} besides {first.name}")


def a_job_is_found_from_another_machine(bench: Bench) -> None:
    """A job is found from a machine that did not submit it."""
    job = bench.job("succeed")
    found = bench.another().training.find(bench.model, bench.request("succeed").run_id)
    expect(found == job, f"found {found}")


def a_good_training_leaves_metrics_and_model(bench: Bench) -> None:
    """A training that ends well leaves its metrics, and its model byte for byte."""
    job = bench.job("succeed")
    state = bench.ended(job)
    expect(state is JobState.SUCCEEDED, f"{state}: {bench.parts.training.failure(job)}")
    result = bench.parts.training.result(job)
    expect(result.metrics == {"mae": 4.5, "rows": 100.0}, f"metrics {dict(result.metrics)}")
    target = bench.folder / "fetched-model"
    bench.parts.artifacts.fetch(result.model_uri, target)
    expect(target.read_text(encoding="utf-8") == TRAINING_ROWS, "the model came back changed")
    expect(bench.parts.training.url(job), "the job has no page to look at")


def a_failed_training_says_why(bench: Bench) -> None:
    """A training that fails is failed, says why, and has no result."""
    job = bench.job("fail")
    state = bench.ended(job)
    expect(state is JobState.FAILED, f"it is {state}")
    said = bench.parts.training.failure(job)
    expect("the training says why" in said, f"it says {said!r}")
    expect_error(DataError, lambda: bench.parts.training.result(job))


def a_metric_that_is_no_number_is_no_result(bench: Bench) -> None:
    """A metric that is NaN is refused, and named."""
    job = bench.job("succeed", _NAN)
    bench.ended(job)
    said = expect_error(DataError, lambda: bench.parts.training.result(job))
    expect("mae" in said, f"the error does not name it: {said}")


def only_what_has_not_ended_is_running(bench: Bench) -> None:
    """A job that hangs is listed as running, until it is cancelled; twice does no harm."""
    job = bench.job("hang")
    running = [one.ref for one in bench.another().training.running(bench.model)]
    expect(job in running, f"running are {running}")
    cancel_and_see(job, bench.parts.training, bench.clock)
    state = bench.parts.training.state(job)
    expect(state is JobState.CANCELLED, f"it is {state}")
    bench.parts.training.cancel(job)
    again = bench.another().training.state(job)
    expect(again is JobState.CANCELLED, f"cancelled twice it is {again}")
    left = [one.ref for one in bench.parts.training.running(bench.model)]
    expect(job not in left, "it is still listed as running")


def the_last_submission_is_known(bench: Bench) -> None:
    """The cost guard learns of the last submission."""
    bench.job("succeed")
    expect(bench.another().training.last_submitted(bench.model), "nothing was ever submitted")


def a_job_that_never_was_is_refused(bench: Bench) -> None:
    """A job that never was is refused, not guessed at."""
    real = bench.job("succeed")
    gone = JobRef(real.platform, f"{real.name}0")
    expect_error(PlatformRefusedError, lambda: bench.parts.training.state(gone))


def a_file_comes_back_with_its_digest(bench: Bench) -> None:
    """A stored file and a stored folder come back as they were; the digest is the content's."""
    store = bench.parts.artifacts
    file = bench.folder / "stored.txt"
    file.write_text("trees", encoding="utf-8")
    digest = store.fetch(store.put(file, "stored.txt"), bench.folder / "back.txt")
    expect((bench.folder / "back.txt").read_text(encoding="utf-8") == "trees", "the file differs")
    other = store.fetch(store.put(file, "other.txt"), bench.folder / "again.txt")
    expect(other == digest, "the same content has two digests")
    store.fetch(store.put(bench.bundle("one"), "bundle"), bench.folder / "back")
    names = {one.name for one in bench.bundle("one").iterdir()}
    expect({one.name for one in (bench.folder / "back").iterdir()} == names, "the folder differs")


def nothing_there_is_an_error(bench: Bench) -> None:
    """What is not in the store is an error and leaves nothing behind."""
    store = bench.parts.artifacts
    file = bench.folder / "stored.txt"
    file.write_text("trees", encoding="utf-8")
    uri = store.put(file, "stored.txt").replace("stored.txt", "absent.txt")
    target = bench.folder / "absent.txt"
    expect_error(DataError, lambda: store.fetch(uri, target))
    expect(not target.exists(), "something was left")


CHECKS = (
    nobodys_run_has_no_job,
    the_same_key_is_the_same_job,
    a_job_is_found_from_another_machine,
    a_good_training_leaves_metrics_and_model,
    a_failed_training_says_why,
    a_metric_that_is_no_number_is_no_result,
    only_what_has_not_ended_is_running,
    the_last_submission_is_known,
    a_job_that_never_was_is_refused,
)
STORE_CHECKS = (a_file_comes_back_with_its_digest, nothing_there_is_an_error)
