"""What the platform's state consists of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ml_pipeline.domain.errors import PlatformRefusedError
from ml_pipeline.localplatform.lease import Lease

_DIGEST_AT_END = re.compile(r"-([0-9a-f]{64})\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Endpoint(StrEnum):
    """Where a deployment belongs; only production stands behind the router."""

    STAGING = "staging"
    PRODUCTION = "production"


class Phase(StrEnum):
    """Where a model server is between start and giving up."""

    STARTING = "starting"
    HEALTHY = "healthy"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """One deployment: what was asked, and how its process fares now.

    `package` is the platform's own copy; `trusted_types` are skops types its model may hold;
    `port` is None while no process listens.
    """

    endpoint: Endpoint
    slot: str
    model: str
    version: str
    digest: str
    package: str
    chaos: str
    trusted_types: tuple[str, ...]
    since_s: float
    port: int | None = None
    phase: Phase = Phase.STARTING
    reason: str = ""

    @property
    def package_digest(self) -> str:
        """SHA-256 of the package's manifest when it was copied: the end of the copy's name.

        Empty when it had none: no model server takes such a package.
        """
        found = _DIGEST_AT_END.search(self.package)
        return "" if found is None else found[1]

    @property
    def key(self) -> tuple[Endpoint, str]:
        """What tells deployments apart."""
        return self.endpoint, self.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole state at one moment; `generation` rises with every change the router must know."""

    generation: int
    deployments: tuple[DeploymentRecord, ...]
    weights: Mapping[str, int] = field(default_factory=dict)
    lease: Lease | None = None

    def find(self, endpoint: Endpoint, slot: str) -> DeploymentRecord | None:
        """The deployment in that slot, None when there is none."""
        return next((one for one in self.deployments if one.key == (endpoint, slot)), None)

    def slots(self, endpoint: Endpoint) -> frozenset[str]:
        """Names of the endpoint's slots."""
        return frozenset(one.slot for one in self.deployments if one.endpoint is endpoint)

    def serving(self, slot: str) -> bool:
        """Whether the production slot gets traffic, or would when the lease runs out."""
        falls_back = self.lease is not None and self.lease.held()
        fallback = self.lease.fallback if self.lease is not None and falls_back else {}
        return self.weights.get(slot, 0) > 0 or fallback.get(slot, 0) > 0


def checked_name(kind: str, name: str) -> str:
    """The name itself when it may become a folder, a label and a header.

    Raises:
        PlatformRefusedError: it may not.
    """
    if not NAME.fullmatch(name):
        raise PlatformRefusedError(
            f"the {kind} {name!r} cannot become a folder and a header",
            remedy="Use up to 63 letters, digits, dots, underscores and hyphens.",
        )
    return name
