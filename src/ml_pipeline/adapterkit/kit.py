"""All checks in order, one verdict each, and nothing left behind."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ml_pipeline.adapterkit import registry, serving, training
from ml_pipeline.adapterkit.bench import Bench, Red
from ml_pipeline.domain.errors import InterruptedRunError, PipelineError
from ml_pipeline.ports.platform import PlatformParts
from ml_pipeline.ports.registry import CHALLENGER, CHAMPION, STAGING


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One sentence of the contract, and what sees whether it holds (or raises)."""

    group: str
    says: str
    run: Callable[[Bench], None]

    @property
    def id(self) -> str:
        """A short name: `training/the-same-key-is-the-same-job`."""
        return f"{self.group}/{self.run.__name__.replace('_', '-')}"


def _checks(group: str, runs: Iterable[Callable[[Bench], None]]) -> list[Check]:
    return [Check(group=group, says=(run.__doc__ or "").strip(), run=run) for run in runs]


#: The cheap ones first: what cannot be stored or registered is known before anything costs money.
CHECKS: tuple[Check, ...] = (
    *_checks("artifacts", training.STORE_CHECKS),
    *_checks("registry", registry.CHECKS),
    *_checks("training", training.CHECKS),
    *_checks("serving", serving.CHECKS),
)
GROUPS = tuple(dict.fromkeys(one.group for one in CHECKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one check; `wrong` is empty when it holds, else what and what to do."""

    check: Check
    wrong: str
    duration_s: float


def run(bench: Bench, checks: Iterable[Check]) -> Iterator[Finding]:
    """Every check's finding as it comes; one that is red stops no other.

    Raises:
        InterruptedRunError: somebody asked to stop.
    """
    for check in checks:
        begun = bench.clock.monotonic()
        wrong = ""
        try:
            check.run(bench)
        except InterruptedRunError:
            raise
        except Red as error:
            wrong = str(error)
        except PipelineError as error:
            wrong = f"{error}\n{error.remedy}"
        except Exception as error:  # noqa: BLE001 - a bug of an adapter is a finding too
            wrong = f"{type(error).__name__}: {error}"
        yield Finding(check=check, wrong=wrong, duration_s=bench.clock.monotonic() - begun)


def clear(bench: Bench) -> list[str]:
    """Take away what the checks made; what is left all the same, in sentences."""
    parts = bench.parts
    wrong: list[str] = []
    for step in (_cancel_jobs, _dismantle, _archive):
        try:
            step(bench, parts)
        except Exception as error:  # noqa: BLE001 - the next step is tried whatever this one met
            wrong.append(f"{step.__name__.strip('_')}: {type(error).__name__}: {error}")
    with suppress(PipelineError):  # what could not be reached has been said above
        left = parts.costs.standing()
        wrong += [f"{one.kind} {one.name} is left, since {one.since:%H:%M} UTC" for one in left]
    return wrong


def _cancel_jobs(bench: Bench, parts: PlatformParts) -> None:
    for job in parts.training.running(bench.model):
        parts.training.cancel(job.ref)


def _dismantle(_bench: Bench, parts: PlatformParts) -> None:
    parts.staging_host.remove(STAGING)
    parts.dismantle()


def _archive(bench: Bench, parts: PlatformParts) -> None:
    for alias in (CHAMPION, CHALLENGER):
        parts.registry.clear_alias(bench.model, alias)
    for version in parts.registry.versions(bench.model):
        parts.registry.archive(bench.model, version.version)
