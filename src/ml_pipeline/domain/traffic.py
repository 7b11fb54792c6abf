"""Shares of traffic: what a platform may be asked to set, and by whom."""

from collections.abc import Mapping

from ml_pipeline.domain.errors import ConfigurationError

#: A lease in a cloud's tags or labels is written anew at its half, and after so long at the latest.
RENEWED_S = 60.0


def renewal_due(left_s: float, lease_s: float) -> bool:
    """Whether a lease that is kept in a cloud's tags or labels is to be written anew.

    Not at each look, every few seconds, for the vendor's quota; but soon enough for a long lease
    to be whole, less `RENEWED_S`, whenever a change begins.

    Args:
        left_s: seconds until it runs out; negative when it has.
        lease_s: seconds it was asked for.

    >>> renewal_due(20, lease_s=30), renewal_due(10, lease_s=30)
    (False, True)
    >>> renewal_due(3550, lease_s=3600), renewal_due(3530, lease_s=3600)
    (False, True)
    """
    return lease_s - left_s > min(lease_s / 2, RENEWED_S)


def checked_weights(weights: Mapping[str, object]) -> dict[str, int]:
    """The same shares, known to be whole per cents that sum to 100.

    Raises:
        ConfigurationError: a share is no whole number of 0 to 100, or they do not sum to 100.

    >>> checked_weights({"v1": 90, "v2": 10})
    {'v1': 90, 'v2': 10}
    """
    whole: dict[str, int] = {}
    for slot, share in weights.items():
        if not isinstance(share, int) or isinstance(share, bool) or not 0 <= share <= 100:
            raise ConfigurationError(
                f"the share of slot {slot!r} is {share!r}",
                remedy="Give whole per cents from 0 to 100.",
            )
        whole[slot] = share
    if sum(whole.values()) != 100:
        raise ConfigurationError(
            f"the shares {whole} sum to {sum(whole.values())} per cent",
            remedy="Give shares that sum to 100.",
        )
    return whole
