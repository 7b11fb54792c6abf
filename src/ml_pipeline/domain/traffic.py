"""Shares of traffic: what a platform may be asked to set."""

from collections.abc import Mapping

from ml_pipeline.domain.errors import ConfigurationError


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
