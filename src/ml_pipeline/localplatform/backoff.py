"""When to start a crashed process again, and when to stop trying."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Waits twice as long after each crash, and gives up after `limit` crashes in `window_s`.

    Args:
        limit: crashes within the window after which it gives up; None never does.
        window_s: seconds after which a crash is forgotten.
        first_s: wait after the first crash, in seconds.
        longest_s: no wait is longer, in seconds.
    """

    limit: int | None
    window_s: float = 60.0
    first_s: float = 0.1
    longest_s: float = 5.0
    _crashes: deque[float] = field(default_factory=deque)

    def crashed(self, now_s: float) -> float | None:
        """Seconds to wait before the next start; None to give up.

        Args:
            now_s: monotonic seconds.
        """
        self._crashes.append(now_s)
        while self._crashes and self._crashes[0] <= now_s - self.window_s:
            self._crashes.popleft()
        count = len(self._crashes)
        if self.limit is not None and count >= self.limit:
            return None
        return float(min(self.longest_s, self.first_s * 2.0 ** min(count - 1, 30)))

    @property
    def recent(self) -> int:
        """Crashes not yet forgotten when the last one came."""
        return len(self._crashes)
