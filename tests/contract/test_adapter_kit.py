"""The published kit (`ml-pipeline adapter-check`) holds on every platform, check by check."""

from pathlib import Path

import pytest

from ml_pipeline.adapterkit.bench import Bench
from ml_pipeline.adapterkit.kit import CHECKS, clear
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.adapters.local.parts import LocalParts
from ml_pipeline.localplatform import control
from ml_pipeline.ports.platform import PlatformOrder
from tests.emulators.clouds import CLOUDS
from tests.fakes.projects import PLAIN, runner_of, write_files

#: What only a fault leads to, so that no check of the kit asks for it.
RARELY = {
    "logs:DescribeLogStreams", "logs:GetLogEvents", "iam:PassRole", "s3:ListBucket",
    "CancelOperation",
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/getLogs/action",
}  # fmt: skip


class _Local:
    """The embedded platform."""

    name = "local"

    def __init__(self, folder: Path, source: Path) -> None:
        self.state = folder / "state"
        control.up(self.state)
        self.runner = runner_of(source, self.state)

    def parts(self, model: str) -> LocalParts:
        order = PlatformOrder(model=model, state=self.state, clock=HostClock(), environ={})
        return LocalParts(order=order, runner=lambda: self.runner, bring_up=lambda: None)

    def rights(self) -> tuple[set[str], set[str]]:
        return set(), set()

    def end(self) -> None:
        control.down(self.state)


PLATFORMS = {"local": _Local, **CLOUDS}


@pytest.fixture(
    scope="module",
    # Each platform is brought up once and keeps what its checks share; one worker does it.
    params=sorted(PLATFORMS),
)
def platform(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"kit-{request.param}")
    source = write_files(folder / "project", {"pyproject.toml": PLAIN})
    made = PLATFORMS[request.param](folder, source)
    yield made
    made.end()


@pytest.fixture(scope="module")
def bench(platform, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    made = Bench(
        fresh=lambda: platform.parts("check-1"), model="check-1", run_id="check-1", folder=work,
        source=work, clock=HostClock(), limit_s=240, poll_s=0.1,
    )  # fmt: skip
    yield made
    assert clear(made) == []
    made.close()


@pytest.fixture(scope="module")
def ran(platform) -> set[str]:
    """Checks that were run on this platform."""
    return set()


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_the_platform_keeps_its_contract(bench, ran, check):
    ran.add(check.id)
    check.run(bench)


def test_the_page_lists_the_rights_that_were_needed_and_no_others(platform, bench, ran):
    """Held against all checks together; those that were not run before are run here."""
    for check in CHECKS:
        if check.id not in ran:
            check.run(bench)
    asked, listed = platform.rights()
    assert sorted(asked - listed) == []
    assert sorted(listed - asked - RARELY) == []
