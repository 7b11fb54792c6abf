"""The published kit (`ml-pipeline adapter-check`) holds on every platform, check by check."""

import gc
from pathlib import Path

import pytest

from ml_pipeline.adapterkit.bench import Bench
from ml_pipeline.adapterkit.kit import CHECKS, clear
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.parts import LocalParts
from ml_pipeline.localplatform import control
from ml_pipeline.ports.platform import PlatformOrder
from tests.emulators import sagemaker_driver
from tests.fakes.projects import PLAIN, runner_of, write_files

#: Each platform is brought up once and keeps what its checks share; one worker does it.
pytestmark = [
    pytest.mark.xdist_group("adapter-kit"),
    # An SDK's client keeps its connections until it is collected, and has no other end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _local(folder: Path, clock: HostClock):
    state = folder / "state"
    control.up(state)
    order = PlatformOrder(model="check-1", state=state, clock=clock, environ={})
    runner = runner_of(folder / "project", state)
    yield lambda: LocalParts(order=order, runner=lambda: runner, bring_up=lambda: None)
    control.down(state)


def _sagemaker(folder: Path, clock: HostClock):
    account = sagemaker_driver.emulated().fresh()
    yield lambda: sagemaker_driver.parts_on(account.url, folder, model="check-1", clock=clock)


PLATFORMS = {"local": _local, "sagemaker": _sagemaker}


@pytest.fixture(scope="module", params=sorted(PLATFORMS))
def bench(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"kit-{request.param}")
    source = write_files(folder / "project", {"pyproject.toml": PLAIN})
    clock = HostClock()
    work = folder / "work"
    work.mkdir()
    up = PLATFORMS[request.param](folder, clock)
    made = Bench(
        fresh=next(up), model="check-1", run_id="check-1", folder=work, source=source,
        clock=clock, limit_s=240, poll_s=0.1,
    )  # fmt: skip
    try:
        yield made
        assert clear(made) == []
    finally:
        next(up, None)
        vars(made).clear()
        gc.collect()


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_the_platform_keeps_its_contract(bench, check):
    check.run(bench)
