"""Webhooks that can be trusted: signed with a shared secret, and only for a while."""

import hashlib
import hmac
import re

from ml_pipeline.domain.errors import ConfigurationError, PlatformRefusedError

#: How far the sender's clock may be from ours, and how long a caught message can be replayed.
WINDOW_S = 300.0
_FEWEST_SECRET_BYTES = 16


def sign(secret: bytes, body: bytes, timestamp: int) -> str:
    """The signature a sender puts beside a body.

    Args:
        secret: shared by both sides, at least 16 bytes.
        body: exactly as it is sent.
        timestamp: seconds since 1970 UTC, sent along; signed too, so that it cannot be renewed.

    Returns:
        `v1=` and 64 hexadecimal digits.

    Raises:
        ConfigurationError: the secret is too short to keep anybody out.

    Source:
        RFC 2104 (HMAC) with SHA-256. The version leads what is signed and a colon ends the
        timestamp, so that no two pairs of timestamp and body are signed alike.

    >>> sign(b"0123456789abcdef", b"{}", 1767225600)[:11]
    'v1=306fac81'
    """
    if len(secret) < _FEWEST_SECRET_BYTES:
        raise ConfigurationError(
            f"the webhook secret has {len(secret)} bytes, {_FEWEST_SECRET_BYTES} are the least",
            remedy="Set a longer secret on both sides.",
        )
    signed = b"v1:%d:%s" % (timestamp, body)
    return "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def verify(
    secret: bytes,
    body: bytes,
    *,
    timestamp: str,
    signature: str,
    now_s: float,
    window_s: float = WINDOW_S,
) -> None:
    """Return when the message is from somebody who has the secret, and fresh.

    A message caught and sent again within the window passes: what it asks for must be something
    that may be asked twice, or the receiver has to remember the signatures of one window.

    Args:
        secret: as for `sign`.
        body: exactly as it was received, before any parsing.
        timestamp: the header, seconds since 1970 UTC.
        signature: the header, as `sign` makes it.
        now_s: the receiver's clock, seconds since 1970 UTC.
        window_s: how old, or how far ahead, the timestamp may be; >= 0.

    Raises:
        PlatformRefusedError: not signed with that secret, or not fresh. The message does not say
            what would have been right.
        ConfigurationError: the secret is too short.
    """
    if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII):
        raise _refused("its timestamp is no number of seconds")
    # Always computed and compared in constant time, whatever the signature looks like.
    expected = sign(secret, body, int(timestamp))
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise _refused("its signature is not made with our secret")
    if not abs(now_s - int(timestamp)) <= window_s:  # so that NaN is refused, too
        raise _refused(f"it is more than {window_s:g} s off our clock")


def _refused(why: str) -> PlatformRefusedError:
    return PlatformRefusedError(
        f"the webhook was not accepted: {why}",
        remedy="Send it anew, signed with the shared secret and the time of now.",
    )
