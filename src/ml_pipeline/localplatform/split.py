"""Which slot a request goes to."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate


class Split:
    """Chooses slots in proportion to their shares, at random or by a key.

    Args:
        weights: per cent by slot, whole numbers that sum to 100.
    """

    __slots__ = ("_bounds", "_shares", "_slots")

    def __init__(self, weights: Mapping[str, int]) -> None:
        shares = {slot: share for slot, share in sorted(weights.items()) if share > 0}
        self._slots = tuple(shares)
        self._shares = tuple(shares.values())
        self._bounds = tuple(accumulate(shares.values()))

    @property
    def slots(self) -> tuple[str, ...]:
        """Slots that get traffic at all."""
        return self._slots

    def at(self, point: float) -> str | None:
        """The slot of a point drawn evenly from [0, 1); None when no slot gets traffic."""
        if not self._slots:
            return None
        position = bisect_right(self._bounds, point * self._bounds[-1])
        return self._slots[min(position, len(self._slots) - 1)]

    def of(self, key: str) -> str | None:
        """The slot of a key: always the same one, and a key moves only to a slot that grew.

        Weighted rendezvous hashing: when a challenger goes from 10 to 25 per cent, whoever was
        on the challenger stays there.

        Source:
            Schindelhauer & Schomaker (2005), Weighted distributed hash tables, SPAA '05,
            218-227: the logarithmic method.
        """
        if len(self._slots) < 2:
            return self._slots[0] if self._slots else None
        pairs = zip(self._slots, self._shares, strict=True)
        return max(pairs, key=lambda pair: pair[1] * _reach(pair[0], key))[0]


def _reach(slot: str, key: str) -> float:
    """`-1 / ln(u)` of a number `u` in (0, 1) that slot and key alone decide."""
    digest = hashlib.blake2b(
        key.encode("utf-8", "surrogateescape"),
        digest_size=8,
        key=hashlib.blake2b(slot.encode(), digest_size=16).digest(),
    ).digest()
    evenly = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return -1.0 / math.log(evenly) if evenly < 1.0 else math.inf
