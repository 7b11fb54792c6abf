"""The load generator as the pipeline uses it: a process of its own, watched and interruptible."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.domain.environ import harmless
from ml_pipeline.domain.errors import (
    ChecksFailedError,
    ConfigurationError,
    PlatformUnavailableError,
    TimeLimitError,
)
from ml_pipeline.loadgen.address import address_of
from ml_pipeline.loadgen.order import Order
from ml_pipeline.loadgen.process import Worker
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.load import LoadPlan, LoadReport, Replay
from ml_pipeline.ports.serving import Target

if TYPE_CHECKING:
    from ml_pipeline.ports.load import LoadGenerator

#: The longest latency the generator's histograms hold.
_LONGEST_TIME_OUT_S = 3600.0
#: How long a loaded machine may take to start a process, and to write a report.
_START_S = 60.0
_GRACE_S = 10.0
_POLL_S = 0.1


class ProcessLoadGenerator:
    """Speaks `ports.load.LoadGenerator`.

    Args:
        clock: waits, and hears of an interruption.
        environ: the caller's environment; what may be secret in it does not reach the process.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str]) -> None:
        self._clock = clock
        self._environ = harmless(environ)

    def run(self, target: Target, plan: LoadPlan, *, work: Path) -> LoadReport:
        worker = Worker(_order(target, plan), work, self._environ)
        with _ended_on_error(worker):
            self._await_start(worker, target, plan)
            until_s = self._clock.monotonic() + plan.duration_s + plan.time_out_s + _START_S
            while not worker.ended_within(_POLL_S):
                self._check(until_s, "was not done long after its plan")
            report = worker.report()
        worker.end()
        return report

    def replay(self, target: Target, plan: LoadPlan, *, work: Path) -> Replay:
        worker = Worker(_order(target, plan), work, self._environ)
        with _ended_on_error(worker):
            self._await_start(worker, target, plan)
        return ProcessReplay(worker, plan.time_out_s + _GRACE_S)

    def _await_start(self, worker: Worker, target: Target, plan: LoadPlan) -> None:
        # A name may stand for several addresses, each of which is given the time-out.
        until_s = self._clock.monotonic() + _START_S + 4 * plan.time_out_s
        while not worker.speaks_within(_POLL_S):
            self._check(until_s, "did not begin")
        why = worker.why_unreachable()
        if why is not None:
            name = address_of(target.url, target.headers).name
            raise PlatformUnavailableError(
                f"nothing takes requests at {name}: {why}",
                remedy="Bring the endpoint up, or correct its address, and try again.",
            )

    def _check(self, until_s: float, what: str) -> None:
        self._clock.check()
        if self._clock.monotonic() > until_s:
            raise TimeLimitError(
                f"the load generator {what}", remedy="Try again on a machine with less to do."
            )


class ProcessReplay:
    """Speaks `ports.load.Replay`."""

    def __init__(self, worker: Worker, limit_s: float) -> None:
        self._worker = worker
        self._limit_s = limit_s
        self._report: LoadReport | None = None

    def stop(self) -> LoadReport:
        if self._report is None:
            with _ended_on_error(self._worker):
                self._worker.ask_to_stop()
                if not self._worker.ended_within(self._limit_s):
                    raise ChecksFailedError(
                        f"the load generator did not stop within {self._limit_s:g} s",
                        remedy="Look at what else this machine does, and try again.",
                    )
                self._report = self._worker.report()
            self._worker.end()
        return self._report


@contextmanager
def _ended_on_error(worker: Worker) -> Iterator[None]:
    try:
        yield
    except BaseException:
        worker.end()
        raise


def _order(target: Target, plan: LoadPlan) -> Order:
    address_of(target.url, target.headers)
    numbers = {"rate_per_s": plan.rate_per_s, "duration_s": plan.duration_s}
    for name, value in {**numbers, "time_out_s": plan.time_out_s}.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigurationError(
                f"a load plan cannot have {name} = {value}",
                remedy=f"Set {name} to a number greater than 0.",
            )
    if plan.time_out_s > _LONGEST_TIME_OUT_S:
        raise ConfigurationError(
            f"a load plan cannot have time_out_s = {plan.time_out_s:g}",
            remedy=f"Set time_out_s to at most {_LONGEST_TIME_OUT_S:g}.",
        )
    if not plan.bodies:
        raise ConfigurationError(
            "a load plan without bodies has nothing to send", remedy="Give it at least one body."
        )
    return Order(
        url=target.url,
        headers=target.headers,
        time_out_s=plan.time_out_s,
        bodies=plan.bodies,
        **numbers,
    )


if TYPE_CHECKING:
    _speaks: type[LoadGenerator] = ProcessLoadGenerator
    _speaks_too: type[Replay] = ProcessReplay
