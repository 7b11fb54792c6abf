"""A rollout written down where every machine sees it: in the endpoint's tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.endpoint import Endpoint, Seen
from ml_pipeline.domain.errors import PlatformRefusedError

_RUN, _UNTIL, _LEASE, _FALLBACK = (
    "ml-pipeline:rollout-run",
    "ml-pipeline:rollout-until",
    "ml-pipeline:rollout-lease-s",
    "ml-pipeline:rollout-fallback",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who moves traffic, until when it is believed to live, and where traffic goes otherwise."""

    run_id: str
    until: datetime
    lease_s: float
    fallback: Mapping[str, int]


def read(endpoint: Endpoint, found: Seen) -> Lease | None:
    """The lease as the tags have it, None when there is none.

    Raises:
        PlatformRefusedError: the tags cannot be read as one.
    """
    tags = endpoint.tags(found)
    if _RUN not in tags:
        return None
    try:
        return Lease(
            run_id=tags[_RUN],
            until=datetime.fromisoformat(tags[_UNTIL]),
            lease_s=float(tags[_LEASE]),
            fallback=names.split_shares(tags[_FALLBACK]),
        )
    except (KeyError, ValueError) as error:
        raise PlatformRefusedError(
            f"the tags ml-pipeline:rollout-… of endpoint {endpoint.name} cannot be read: {error}",
            remedy="Remove them in the console once no run moves traffic.",
        ) from error


def write(endpoint: Endpoint, found: Seen, held: Lease) -> None:
    """Set the lease."""
    endpoint.tag(
        found,
        {
            _RUN: held.run_id,
            _UNTIL: held.until.isoformat(),
            _LEASE: repr(held.lease_s),
            _FALLBACK: names.joined_shares(held.fallback),
        },
    )


def remove(endpoint: Endpoint, found: Seen) -> None:
    """Take the lease away."""
    endpoint.untag(found, [_RUN, _UNTIL, _LEASE, _FALLBACK])


def renewed(held: Lease, now: datetime) -> Lease:
    """The same lease, from now on."""
    return Lease(
        run_id=held.run_id,
        until=now + timedelta(seconds=held.lease_s),
        lease_s=held.lease_s,
        fallback=held.fallback,
    )
