"""What users of the embedded platform saw."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml_pipeline.adapters.local.platform_api import PlatformApi
from ml_pipeline.ports.clock import Clock
from ml_pipeline.ports.serving import Window


class LocalTraffic:
    """Speaks `ports.serving.TrafficMetrics`.

    Requests count by when they ended. What a model server refused as the client's own fault
    (4xx) is no request here: it says nothing of the model.

    Args:
        state: the project's state folder.
        clock: for waits.
    """

    def __init__(self, state: Path, *, clock: Clock) -> None:
        self._api = PlatformApi(state, clock)

    def window(self, slot: str, start: datetime, end: datetime, slow_ms: float) -> Window:
        query = {"start": start.isoformat(), "end": end.isoformat(), "slow_ms": repr(slow_ms)}
        found = self._api.read(f"/v1/windows/{slot}", query)
        return Window(
            slot=slot,
            start=start,
            end=end,
            requests=found["requests"],
            errors=found["errors"],
            slow=found["slow"],
            p99_ms=found["p99_ms"],
            as_of=datetime.fromisoformat(found["as_of"]),
            refused=found["client_errors"],
        )


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import TrafficMetrics

    _speaks: type[TrafficMetrics] = LocalTraffic
