"""A rollout on clouds that take their time: no other run may believe it dead meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.sagemaker.endpoint import Seen, Variant
from ml_pipeline.adapters.sagemaker.router import SageMakerRouter
from ml_pipeline.adapters.vertex.router import VertexRouter
from ml_pipeline.domain.errors import BusyError, PlatformRefusedError
from ml_pipeline.domain.evidence import Outcome, StageOutcome, Status
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.domain.policies.release import LoadPolicy, RolloutPolicy
from ml_pipeline.ports.serving import Window
from ml_pipeline.stages import shift_traffic
from tests.fakes.clock import FakeClock
from tests.fakes.serving import FakeRouter, Served

BACK = {"v1": 100}
POLICY = RolloutPolicy(steps_pct=(10, 100), hold_s=60, min_requests=10, lease_s=30)


@dataclass
class Cloud:
    """One endpoint with `v1` and `v2`; a change of weights takes as long as it may.

    `meanwhile` is called at the end of each change, before it returns.
    """

    clock: FakeClock
    takes_s: float
    shares: dict[str, int] = field(default_factory=lambda: {"v1": 100, "v2": 0})
    marks: dict[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None

    def change(self, shares: Mapping[str, int]) -> None:
        self.clock.advance(self.takes_s)
        self.shares = {slot: shares.get(slot, 0) for slot in self.shares}
        self.meanwhile()

    def mark(self, marks: Mapping[str, str | None]) -> None:
        merged = {**self.marks, **marks}
        self.marks = {key: value for key, value in merged.items() if value is not None}


class SageMakerEndpoint:
    """What `SageMakerRouter` asks of its endpoint."""

    name = "shop"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.clock = cloud.clock
        self.policy = SageMakerPolicy()

    def seen(self) -> Seen:
        return Seen(
            arn="arn", status="InService", config="c", failure="", since=self.clock.now(),
            variants={
                slot: Variant(slot=slot, model="m", weight=share, instances=1)
                for slot, share in self._cloud.shares.items()
            },
        )  # fmt: skip

    required = seen

    def weigh(self, weights: Mapping[str, int], found: Seen) -> None:
        self._cloud.change(weights)

    def tags(self, found: Seen) -> dict[str, str]:
        return dict(self._cloud.marks)

    def tag(self, found: Seen, tags: Mapping[str, str]) -> None:
        self._cloud.mark(tags)

    def untag(self, found: Seen, keys: list[str]) -> None:
        self._cloud.mark(dict.fromkeys(keys))


class VertexEndpoint:
    """What `VertexRouter` asks of its endpoint."""

    name = id = "shop"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def get(self) -> types.Endpoint:
        slots = list(self._cloud.shares)
        return types.Endpoint(
            labels=self._cloud.marks,
            deployed_models=[types.DeployedModel(id=one, display_name=one) for one in slots],
            traffic_split=self._cloud.shares,
        )

    def split(self, shares: Mapping[str, int]) -> None:
        self._cloud.change(shares)

    def label(self, found: types.Endpoint, **labels: str | None) -> None:
        self._cloud.mark(labels)


#: The router on a cloud, and how long a change of weights there may take, in seconds.
CLOUDS: dict[str, tuple[Callable[[Cloud], Any], float]] = {
    "sagemaker": (lambda cloud: SageMakerRouter(SageMakerEndpoint(cloud), None), 7200),  # type: ignore[arg-type]
    "vertex": (lambda cloud: VertexRouter(VertexEndpoint(cloud), None, cloud.clock), 3000),  # type: ignore[arg-type]
}


@dataclass
class Busy:
    """Users who are always there and content; figures take `takes_s` to be read."""

    clock: FakeClock
    takes_s: float = 0

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        self.clock.advance(self.takes_s)
        return Window(
            slot=slot, start=start, end=end, requests=1000, errors=0, slow=0, p99_ms=5, as_of=end
        )


class StageFake:
    """A stage's folder after version 2 was deployed beside version 1."""

    run_id = "r-1"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[str] = []

    def result(self, stage: str) -> Any:
        values = {
            "register": {"version": "2"},
            "evaluate": {"champion": "1"},
            "deploy-production": {"challenger": "v2", "champion": "v1"},
        }
        return SimpleNamespace(values=values[stage])

    def journal(self, event: str, **facts: Any) -> None:
        self.events.append(event)

    def journalled(self, event: str) -> list[Any]:
        return []


def shifted(
    folder: Path, router: Any, clock: FakeClock, policy: RolloutPolicy = POLICY, reads_s: float = 0
) -> StageOutcome:
    nothing: Any = SimpleNamespace(remove=lambda _slot: None)
    champion = SimpleNamespace(version="1")
    return shift_traffic.run(
        stage=StageFake(folder),  # type: ignore[arg-type]
        model="m",
        data=nothing,
        rollout=policy,
        load=LoadPolicy(),
        registry=SimpleNamespace(champion=lambda _model: champion),  # type: ignore[arg-type]
        router=router,
        traffic=Busy(clock, reads_s),
        tables=nothing,
        load_generator=nothing,
        production_host=nothing,
        staging_host=nothing,
        clock=clock,
    )


@pytest.fixture(params=sorted(CLOUDS))
def made(request: pytest.FixtureRequest) -> tuple[Cloud, Callable[[], Any]]:
    """A cloud, and another router to it each time one is asked for."""
    make, takes_s = CLOUDS[request.param]
    cloud = Cloud(FakeClock(), takes_s)
    return cloud, lambda: make(cloud)


def test_a_good_model_is_promoted_however_long_the_weights_take(made, tmp_path: Path) -> None:
    cloud, router = made
    outcome = shifted(tmp_path, router(), cloud.clock)
    assert (outcome.status, cloud.shares) == (Status.PASSED, {"v1": 0, "v2": 100})
    assert router().rollout() is None


@pytest.mark.parametrize("reads_s", [0, 1150])
def test_no_other_run_takes_the_traffic_while_weights_are_set(
    made, tmp_path: Path, reads_s: float
) -> None:
    """Nor where the figures that were judged before took long to be read."""
    cloud, router = made
    at_once = POLICY.model_copy(update={"hold_s": 0})
    refused: list[str] = []

    def intrude() -> None:
        cloud.meanwhile = lambda: None
        try:
            router().hold("r-2", fallback=BACK, lease_s=30)
        except BusyError as error:
            refused.append(str(error))
        cloud.meanwhile = intrude

    cloud.meanwhile = intrude
    outcome = shifted(tmp_path, router(), cloud.clock, at_once, reads_s)
    assert (outcome.status, len(refused)) == (Status.PASSED, 2)


def test_traffic_another_run_moves_is_left_alone_and_the_loss_is_named(
    made, tmp_path: Path
) -> None:
    cloud, router = made

    def ended_and_taken(_waited_s: float) -> None:
        cloud.clock.on_sleep = None
        router().commit("r-1")
        router().hold("r-2", fallback=BACK, lease_s=86_400)
        cloud.shares = {"v1": 50, "v2": 50}

    cloud.clock.on_sleep = ended_and_taken
    with pytest.raises(PlatformRefusedError, match="lease") as lost:
        shifted(tmp_path, router(), cloud.clock)
    assert "r-2" in str(lost.value)
    assert "put the champion back" not in str(lost.value)
    assert (cloud.shares, router().rollout()) == ({"v1": 50, "v2": 50}, "r-2")


def test_a_lease_nobody_took_is_renewed_also_when_it_ran_out(made) -> None:
    cloud, router = made
    mine = router()
    mine.hold("r-1", fallback=BACK, lease_s=30)
    cloud.clock.advance(40)
    mine.renew("r-1")
    with pytest.raises(BusyError, match="r-1"):
        router().hold("r-2", fallback=BACK, lease_s=30)


def test_a_lease_counts_from_when_what_a_dead_run_left_is_put_right(made) -> None:
    cloud, router = made
    router().hold("dead", fallback=BACK, lease_s=30)
    cloud.shares = {"v1": 90, "v2": 10}
    cloud.clock.advance(40)
    router().hold("r-1", fallback=BACK, lease_s=30)
    assert cloud.shares == {"v1": 100, "v2": 0}
    with pytest.raises(BusyError, match="r-1"):
        router().hold("r-2", fallback=BACK, lease_s=30)


def test_a_run_that_woke_up_while_its_traffic_was_put_right_keeps_it(made) -> None:
    cloud, router = made
    sleeper = router()
    sleeper.hold("r-1", fallback=BACK, lease_s=30)
    cloud.shares = {"v1": 90, "v2": 10}
    cloud.clock.advance(40)
    cloud.meanwhile = lambda: sleeper.renew("r-1")
    with pytest.raises(BusyError, match="r-1"):
        router().hold("r-2", fallback=BACK, lease_s=30)


def test_a_long_lease_is_renewed_long_before_its_half(made) -> None:
    cloud, router = made
    mine = router()
    mine.hold("r-1", fallback=BACK, lease_s=1000)
    cloud.clock.advance(90)
    mine.renew("r-1")
    cloud.clock.advance(950)
    with pytest.raises(BusyError, match="r-1"):
        router().hold("r-2", fallback=BACK, lease_s=30)


@dataclass
class Embedded(FakeRouter):
    """A platform that returns to the champion by itself as soon as the lease is gone."""

    self_healing: bool = True
    leases: list[float] = field(default_factory=list)
    renewals: int = 0
    lost_after: int = 10**6

    def hold(self, run_id: str, *, fallback: Mapping[str, int], lease_s: float) -> None:
        self.leases.append(lease_s)
        super().hold(run_id, fallback=fallback, lease_s=lease_s)

    def renew(self, run_id: str) -> None:
        self.renewals += 1
        if self.renewals > self.lost_after:
            self.served.holder, self.served.weights = None, dict(BACK)
        super().renew(run_id)


def embedded(**how: Any) -> Embedded:
    version: Any = None
    slots = {("production", one): version for one in ("v1", "v2")}
    return Embedded(Served(slots=slots, weights=dict(BACK)), **how)


def test_where_the_platform_returns_by_itself_the_lease_is_as_set(tmp_path: Path) -> None:
    router = embedded()
    assert shifted(tmp_path, router, FakeClock()).status is Status.PASSED
    assert router.leases == [30]


def test_where_the_platform_returned_by_itself_that_is_said(tmp_path: Path) -> None:
    router = embedded(lost_after=1)
    outcome = shifted(tmp_path, router, FakeClock())
    assert outcome.outcome is Outcome.ROLLED_BACK
    assert "so the platform has put the champion back" in outcome.message
    assert router.weights() == BACK
