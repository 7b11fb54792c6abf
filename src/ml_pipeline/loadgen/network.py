"""The way to an address, found before the schedule begins."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ml_pipeline.loadgen.address import Address
from ml_pipeline.loadgen.connection import kind_of

Connect = Callable[[asyncio.Protocol], Awaitable[object]]

#: Connections at most, well below what a host has ports for (28,232 by default on Linux).
MOST_CONNECTIONS = 16_384
_OTHER_FILES = 64


class UnreachableError(Exception):
    """Nothing takes connections there; says why."""


async def reach(address: Address, time_out_s: float) -> Connect:
    """A function that opens connections to the first of the host's addresses that takes one.

    The name is looked up once, here, so that no request waits for a name server. The connection
    that proves it is closed again without a request on it.

    Raises:
        UnreachableError: none of them takes connections.
    """
    loop = asyncio.get_running_loop()
    why = "the name is unknown"
    with suppress(socket.gaierror):
        for *_, where in await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        ):
            connect = _connect_to(str(where[0]), address)
            probe = _Probe()
            try:
                async with asyncio.timeout(time_out_s):
                    await connect(probe)
            except OSError as error:
                why = kind_of(error)
            else:
                probe.close()
                return connect
    raise UnreachableError(why)


def _connect_to(host: str, address: Address) -> Connect:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if address.tls else None
    name = address.host if address.tls else None
    return lambda protocol: loop.create_connection(
        lambda: protocol, host, address.port, ssl=context, server_hostname=name
    )


class _Probe(asyncio.Protocol):
    _transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def raise_file_limit() -> int:
    """Let this process open as many files as it may; how many connections that makes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, most - _OTHER_FILES))
