"""Deployments under way, which an endpoint does not list yet, whoever began them.

Vertex AI says of a running operation on which endpoint it deploys, and not what. Slot and version
therefore stand in a label of the endpoint before a deployment is begun: a process that is killed
meanwhile leaves nothing that comes up later and is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.cloud.aiplatform_v1 import types

from ml_pipeline.adapters.vertex.endpoint import Endpoint, slots_of

_LABEL = "deploying_"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A slot that is being deployed.

    Args:
        version: which version of the model.
        operations: those it may be, of `google.api_core.operation`.
        sure: whether it is these; else another slot is under way too.
    """

    version: str
    operations: tuple[Any, ...]
    sure: bool

    def __str__(self) -> str:
        """The operations' names."""
        return ", ".join(one.operation.name for one in self.operations)

    @property
    def since(self) -> datetime:
        """When the first of them began."""
        began: list[datetime] = [
            one.metadata.generic_metadata.create_time for one in self.operations
        ]
        return min(began)


def looked_at(
    endpoint: Endpoint, begun: Mapping[str, str]
) -> tuple[types.Endpoint | None, dict[str, UnderWay]]:
    """The endpoint as it is now, and what is being deployed on it, by slot.

    Args:
        endpoint: which one.
        begun: names of operations by slot, as far as this process began them.
    """
    found = endpoint.get()
    if not _announced(found):
        return found, {}
    running = {one.operation.name: one for one in endpoint.deploying()}
    found = endpoint.get()  # one that ended before they were listed is on it by now
    waiting = _announced(found)
    known = {slot: running.pop(begun[slot]) for slot in waiting if begun.get(slot) in running}
    strange = [slot for slot in waiting if slot not in known]
    mine = {
        slot: UnderWay(version=waiting[slot], operations=(one,), sure=True)
        for slot, one in known.items()
    }
    if not running:
        return found, mine
    others = tuple(running.values())
    return found, mine | {
        slot: UnderWay(version=waiting[slot], operations=others, sure=len(strange) == 1)
        for slot in strange
    }


def announce(endpoint: Endpoint, slot: str, version: str, under_way: Mapping[str, Any]) -> None:
    """Write down what is about to be deployed; what is neither under way nor this is forgotten."""
    found = endpoint.made()
    labels: dict[str, str | None] = {
        key: None
        for key in found.labels
        if key.startswith(_LABEL) and key.removeprefix(_LABEL) not in under_way
    }
    endpoint.label(found, **{**labels, f"{_LABEL}{slot}": version})


def stop(endpoint: Endpoint, slot: str, one: UnderWay) -> types.Endpoint | None:
    """See that nothing of it goes on; the endpoint, which lists it if it came up all the same.

    Raises:
        PlatformRefusedError: the platform may not be asked to cancel it.
        PlatformUnavailableError: it goes on for longer than `vertex.change_limit_s`.
    """
    for operation in one.operations:
        if one.sure:
            endpoint.cancel(operation)
        endpoint.clients.ended(f"to stop deploying {slot}", operation)
    found = endpoint.get()
    if found is None:
        return None
    endpoint.label(found, **{f"{_LABEL}{slot}": None})
    return endpoint.get()


def _announced(found: types.Endpoint | None) -> dict[str, str]:
    """Versions by slot that were to be deployed and are not listed."""
    if found is None:
        return {}
    there = slots_of(found)
    named = {
        key.removeprefix(_LABEL): version
        for key, version in found.labels.items()
        if key.startswith(_LABEL)
    }
    return {slot: version for slot, version in named.items() if slot not in there}
