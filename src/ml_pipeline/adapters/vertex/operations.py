"""Long-running operations that anybody began, found by what they work on."""

from typing import Any

from google.api_core import exceptions as api
from google.api_core.operation import from_gapic

from ml_pipeline.adapters.vertex.client import Clients

#: Operations in one answer.
_PAGE = 100


def running(clients: Clients, service: Any, of: str, kind: Any, result: Any) -> list[Any]:
    """Operations that have not ended, of `google.api_core.operation`; empty when it is gone.

    Args:
        clients: who asks.
        service: the gapic client of what they work on.
        of: the name of an endpoint or a model.
        kind: class of the metadata they carry, which tells one kind from another.
        result: class of what they answer at last.
    """
    ask = {"name": of, "page_size": _PAGE}
    found: list[Any] = []
    wanted = kind.pb(kind()).DESCRIPTOR
    try:
        while True:
            page = clients.asked(f"what goes on with {of}", service.list_operations, ask)
            found += [one for one in page.operations if not one.done and one.metadata.Is(wanted)]
            if not page.next_page_token:
                break
            ask["page_token"] = page.next_page_token
    except api.NotFound:
        return []
    client = service.transport.operations_client
    return [from_gapic(one, client, result, metadata_type=kind) for one in found]
