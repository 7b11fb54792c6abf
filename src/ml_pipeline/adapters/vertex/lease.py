"""The lease of a rollout, in the labels of the production endpoint.

Vertex AI does nothing with it: it tells other runs that traffic is being moved, and `abort`, on
any machine, whose rollout it was.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.cloud.aiplatform_v1 import types

from ml_pipeline.domain.errors import DataError, PlatformRefusedError

_RUN, _UNTIL, _FALLBACK = "lease_run", "lease_until", "lease_fallback"
_LONGEST = 63
_VALUE = re.compile(rf"^[a-z0-9_-]{{0,{_LONGEST}}}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who moves traffic, until when, and where it goes back to."""

    run_id: str
    until: datetime
    fallback: Mapping[str, int]

    def __str__(self) -> str:
        """The run."""
        return self.run_id

    def labels(self) -> dict[str, str | None]:
        """As labels, which take lowercase letters, digits, `_` and `-` only.

        Raises:
            PlatformRefusedError: it does not fit.
        """
        fallback = "_".join(f"{slot}_{share}" for slot, share in self.fallback.items())
        labels: dict[str, str | None] = {
            _RUN: self.run_id,
            _UNTIL: str(int(self.until.timestamp() * 1000)),
            _FALLBACK: fallback,
        }
        bad = [value for value in labels.values() if not _VALUE.match(str(value))]
        if bad:
            raise PlatformRefusedError(
                f"the lease cannot be recorded: {bad[0]!r} is no value of a label",
                remedy="Use names of lowercase letters, digits and hyphens, 63 in all.",
            )
        return labels


_EPOCH = datetime.fromtimestamp(0, UTC)
#: Labels that take a lease away.
ENDED: Mapping[str, None] = {_RUN: None, _UNTIL: None, _FALLBACK: None}


def lease_of(found: types.Endpoint | None) -> Lease | None:
    """The lease an endpoint carries, None when it carries none."""
    labels = dict(found.labels) if found is not None else {}
    if _RUN not in labels:
        return None
    words = labels.get(_FALLBACK, "").split("_")
    pairs = zip(words[::2], words[1::2], strict=False)
    try:
        until = _EPOCH + timedelta(milliseconds=int(labels.get(_UNTIL, "0")))
        fallback = {slot: int(share) for slot, share in pairs}
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"the labels {_UNTIL} and {_FALLBACK} of the endpoint do not tell a lease: {error}",
            remedy=f"Remove the label {_RUN} from the endpoint once no run moves traffic.",
        ) from error
    return Lease(run_id=labels[_RUN], until=until, fallback=fallback)
