"""What the pipeline tells the generator's process, and what that tells it back.

The order goes through a pipe and never to disk or into an argument: a target's headers can hold a
secret. The same pipe then stays open: `stop` asks for an orderly end, and its closing without a
word means that the pipeline is dead.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

STOP = b"stop\n"
#: What the process ends with when nothing listens, and when nobody is left to tell.
UNREACHABLE = 2
ABANDONED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A target and a plan."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    rate_per_s: float
    duration_s: float
    time_out_s: float
    bodies: Sequence[bytes] = field(repr=False)

    def encoded(self) -> bytes:
        """Its length on a line of its own, then JSON."""
        text = json.dumps(
            {
                "url": self.url,
                "headers": dict(self.headers),
                "rate_per_s": self.rate_per_s,
                "duration_s": self.duration_s,
                "time_out_s": self.time_out_s,
                "bodies": [b64encode(body).decode("ascii") for body in self.bodies],
            }
        ).encode("ascii")
        return b"%d\n%s" % (len(text), text)

    @classmethod
    def read(cls, stream: BinaryIO) -> "Order":
        """The order an unbuffered stream begins with, leaving what follows in it.

        Raises:
            EOFError: the stream ended before the order did.
        """
        rest = int(stream.readline() or 0)
        parts = []
        while rest:
            part = stream.read(rest)
            if not part:
                raise EOFError("the order is not whole")
            parts.append(part)
            rest -= len(part)
        fields = json.loads(b"".join(parts) or b"{}")
        bodies = [b64decode(body) for body in fields.pop("bodies", ())]
        return cls(bodies=bodies, **fields)
