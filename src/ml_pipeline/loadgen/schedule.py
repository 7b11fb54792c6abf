"""When each request is due."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """`rate_per_s` requests a second, evenly, the first at 0, all before `duration_s`.

    A constant rate, not Poisson arrivals: two runs of one plan ask the same of a server. Each due
    time is computed from its number alone, so that rounding cannot add up.
    """

    rate_per_s: float
    duration_s: float

    @property
    def requests(self) -> int:
        """How many there are: at least 1.

        >>> Schedule(50, 30).requests
        1500
        """
        # Not ceil of the plain product: 0.1 * 30 is 3.0000000000000004, and 4 would be one too many
        return max(1, math.ceil(round(self.rate_per_s * self.duration_s, 6)))

    def due_s(self, number: int) -> float:
        """Seconds from the start to the request of that number, counted from 0."""
        return number / self.rate_per_s

    def second(self, number: int) -> int:
        """The second the request belongs to in a timeline."""
        return int(self.due_s(number))
