"""Where requests go, and what each of them begins with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from ml_pipeline.domain.errors import ConfigurationError

#: Headers that differ from request to request, or that say where one ends.
_OURS = frozenset({"x-request-id", "content-length", "transfer-encoding", "connection"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5
_URL = re.compile(r"[\x21-\x7e]+")  # RFC 9112, 3: no white space in a request line


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to connect, and the request line and headers up to the value of `X-Request-Id`."""

    host: str
    port: int
    tls: bool
    head: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Host and port: all an error may say of a URL, which itself can hold a secret."""
        return f"{self.host}:{self.port}"


def address_of(url: str, headers: Mapping[str, str]) -> Address:
    """What a URL and headers come to.

    Raises:
        ConfigurationError: it is no HTTP URL with a host, carries credentials, or a header would
            break the request. The message holds neither the URL nor a header's value.
    """
    parts = urlsplit(url) if _URL.fullmatch(url) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            "requests cannot be sent there: it is no HTTP URL",
            remedy="Give the endpoint as http://host:port/path or https://…, without spaces.",
        )
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of {parts.hostname} carries credentials",
            remedy="Send credentials as a header.",
        )
    tls = parts.scheme == "https"
    return Address(
        host=parts.hostname,
        port=_port(parts) or (443 if tls else 80),
        tls=tls,
        head=_head(parts, headers),
    )


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"the URL of {parts.hostname} has an impossible port",
            remedy="Give a port from 1 to 65535.",
        ) from error


def _head(parts: SplitResult, headers: Mapping[str, str]) -> bytes:
    lines = {
        "host": ("Host", parts.netloc),
        "user-agent": ("User-Agent", "ml-pipeline-load"),
        "content-type": ("Content-Type", "application/json"),
    }
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or name.lower() in _OURS:
            raise ConfigurationError(
                f"the header {name!r} cannot be sent with every request",
                remedy="Leave out headers that hold control characters or frame a request.",
            )
        lines[name.lower()] = (name, value)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    text = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.values())]
    return "\r\n".join([*text, "X-Request-Id: "]).encode("latin-1")
