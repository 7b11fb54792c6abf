"""What the router tells Prometheus."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Upper bounds in seconds; fine around the limits gates usually have (50 ms to 1 s).
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class SlotMeters:
    """Counters of one slot and version, looked up once."""

    ok: Counter
    error: Counter
    client_error: Counter
    latency: Histogram


class Meters:
    """The router's own metrics; each instance has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ml_pipeline_requests",
            "Requests by the slot that took them and what became of them.",
            ("slot", "version", "outcome"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "ml_pipeline_request_duration_seconds",
            "From a request read to its answer.",
            ("slot", "version"),
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._share = Gauge(
            "ml_pipeline_traffic_share_percent",
            "Share of traffic by slot.",
            ("slot", "version"),
            registry=self._registry,
        )
        self.refused = Counter(
            "ml_pipeline_refused_requests",
            "Requests no slot ever saw, by status.",
            ("status",),
            registry=self._registry,
        )

    def of(self, slot: str, version: str) -> SlotMeters:
        """The counters of one slot and version."""
        return SlotMeters(
            ok=self._requests.labels(slot, version, "ok"),
            error=self._requests.labels(slot, version, "error"),
            client_error=self._requests.labels(slot, version, "client-error"),
            latency=self._latency.labels(slot, version),
        )

    def shares(self, shares: dict[tuple[str, str], int]) -> None:
        """Show these shares by slot and version, and no others."""
        self._share.clear()
        for labels, share in shares.items():
            self._share.labels(*labels).set(share)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
