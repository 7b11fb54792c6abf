"""Whose rollout it is on Azure ML: one run at a time, whoever asks at the same moment."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ml_pipeline.adapters.azureml.client import Workspace
from ml_pipeline.adapters.azureml.endpoint import Endpoint
from ml_pipeline.adapters.azureml.lease import Lease
from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import BusyError, DataError, PlatformRefusedError
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from tests.emulators.azureml import CONTAINER, AzuremlEmulator
from tests.emulators.azureml_cases import workspace
from tests.emulators.permissions import azureml_asked, azureml_listed

BLOB = "ml-pipeline/rollouts/shop.json"
FALLBACK = {"c1": 100}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuremlEmulator]:
    with workspace(tmp_path_factory.mktemp("azureml")) as made:
        yield made


@pytest.fixture
def lease(emulator: AzuremlEmulator) -> Iterator[Callable[[], Lease]]:
    """Makes the lease of endpoint `shop` as a machine has it that has not seen it before."""

    def made() -> Lease:
        policy = AzuremlPolicy(**emulator.settings())
        emulator.users.append(Workspace(policy, HostClock(), {}, backoff_factor=0.01))
        return Lease(emulator.users[-1], "shop")

    yield made
    _blob(emulator).unlink(missing_ok=True)
    emulator.faults.clear()


def _blob(emulator: AzuremlEmulator) -> Path:
    return emulator.blobs.folder(CONTAINER) / BLOB


def _seen(monkeypatch: pytest.MonkeyPatch, emulator: AzuremlEmulator, method: str, then) -> list:
    """Have something happen after the service answered a request for the lease's blob."""
    handle, answers = emulator.blobs.handle, []

    def watched(asked: str, path: str, *more: Any) -> Any:
        answer = handle(asked, path, *more)
        if (asked, path) == (method, f"{CONTAINER}/{BLOB}"):
            answers.append(answer[0])
            then()
        return answer

    monkeypatch.setattr(emulator.blobs, "handle", watched)
    return answers


def test_of_two_runs_that_both_saw_nobody_one_holds_the_lease(emulator, lease, monkeypatch) -> None:
    """Each has read that there is none before either writes."""
    both = threading.Barrier(2, timeout=30)
    runs = {name: lease() for name in ("run-1", "run-2")}
    for one in runs.values():
        assert one.read() is None
    reads = _seen(monkeypatch, emulator, "GET", lambda: len(reads) <= 2 and both.wait())
    writes = _seen(monkeypatch, emulator, "PUT", lambda: None)

    def take(name: str) -> str | None:
        try:
            runs[name].take(name, FALLBACK)
        except BusyError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(2) as pool:
        ends = dict(zip(runs, pool.map(take, runs), strict=True))
    winner = lease().read().run_id
    (loser,) = set(runs) - {winner}
    assert ends[winner] is None
    assert ends[loser] == f"run {winner} is moving the traffic of shop"
    assert sorted(writes) == [201, 409]


def test_an_answer_that_was_lost_is_no_other_run(emulator, lease) -> None:
    """The lease was taken and nobody heard of it; the next try is refused by our own."""
    fault = emulator.fault(f"PUT .*{BLOB}", "unheard")
    lease().take("run-1", FALLBACK)
    assert fault.seen == 1
    assert lease().read().run_id == "run-1"


def test_a_run_takes_its_own_lease_anew_with_another_fallback(lease) -> None:
    lease().take("run-1", FALLBACK)
    lease().take("run-1", {"c2": 100})
    assert lease().read().fallback == {"c2": 100}


def test_a_run_that_takes_its_lease_anew_does_not_take_one_that_was_given_to_another(
    emulator, lease, monkeypatch
) -> None:
    """Between its look and its write, `abort` ended the lease and another run took it."""
    mine, other = lease(), lease()
    mine.take("run-1", FALLBACK)

    def passed_on() -> None:
        monkeypatch.undo()
        other.end(other.require("run-1"))
        other.take("run-2", FALLBACK)

    _seen(monkeypatch, emulator, "GET", passed_on)
    with pytest.raises(BusyError, match="run-2"):
        mine.take("run-1", FALLBACK)
    assert lease().read().run_id == "run-2"


def test_what_is_ended_is_what_was_read_and_not_anothers(emulator, lease) -> None:
    late = lease()
    late.take("run-1", FALLBACK)
    held = late.require("run-1")
    lease().end(held)
    lease().take("run-2", FALLBACK)
    with pytest.raises(PlatformRefusedError, match="run-1 holds it"):
        late.end(held)
    assert lease().require("run-2").run_id == "run-2"


def test_a_lease_is_required_of_the_run_that_holds_it(lease) -> None:
    with pytest.raises(PlatformRefusedError, match="held by nobody, not by run run-1"):
        lease().require("run-1")
    lease().take("run-2", FALLBACK)
    with pytest.raises(PlatformRefusedError, match="held by run run-2, not by run run-1"):
        lease().require("run-1")


def test_a_lease_that_is_gone_may_be_ended_and_forgotten(lease) -> None:
    one = lease()
    one.take("run-1", FALLBACK)
    held = one.require("run-1")
    for _ in range(2):  # the second is a try whose first answer was lost
        one.end(held)
    one.take("run-1", FALLBACK)
    for _ in range(2):
        one.forget()
    assert one.read() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"run": "r", "fallback": {"c1": "all"}}'])
def test_a_blob_that_names_no_run_is_neither_a_lease_nor_none(emulator, lease, text: str) -> None:
    _blob(emulator).parent.mkdir(parents=True, exist_ok=True)
    _blob(emulator).write_text(text)
    with pytest.raises(DataError, match=BLOB):
        lease().read()


def test_an_endpoint_that_is_made_or_deleted_leaves_no_lease_of_an_earlier_one(lease) -> None:
    """Somebody deleted the endpoint in the studio while a rollout was under way."""
    found = Endpoint(lease()._workspace, "shop", "production")
    found.lease.take("run-1", FALLBACK)
    found.ensure()
    assert found.lease.read() is None
    found.lease.take("run-2", FALLBACK)
    found.ensure()
    assert found.lease.require("run-2").run_id == "run-2"
    found.delete()
    assert found.lease.read() is None


def test_the_rights_a_lease_takes_are_on_the_page(emulator, lease) -> None:
    one, before = lease(), len(emulator.calls)
    one.take("run-1", FALLBACK)
    one.end(one.require("run-1"))
    asked = azureml_asked(emulator.calls[before:])
    kinds = {right.rsplit("/", 1)[1] for right in asked if "/blobs/" in right}
    assert kinds == {"read", "write", "delete"}
    assert asked <= azureml_listed()
