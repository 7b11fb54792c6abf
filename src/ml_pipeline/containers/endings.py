"""How a call ends badly: with a documented code and a sentence, also where no command ran.

A command's own code reaches the caller as it is. What the engine refuses before any command runs
(a secret that is not there, a base image that cannot be had) has none; it is given one here.
"""

import functools
import logging
import re
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

import dagger

from ml_pipeline.domain.errors import ExitCode

P = ParamSpec("P")
T = TypeVar("T")

#: What the engine says, the code it comes to, and what to do about it.
_REFUSALS = (
    (
        re.compile(r"secret env |resolve session secret|secret (?:file|command)"),
        (ExitCode.CONFIGURATION, "a secret cannot be read"),
        "Set the variable or write the file that its option names, or leave the option out.",
    ),
    (
        re.compile(r"failed to resolve image.*(?i:not found|denied|unauthorized|forbidden)"),
        (ExitCode.CONFIGURATION, "the base image cannot be had"),
        "Check --base-image, and that the engine may pull it.",
    ),
    (
        re.compile(
            r"failed to resolve image|dial tcp|i/o timeout|no such host|TLS handshake timeout"
            r"|connection (?:refused|reset)",
        ),
        (ExitCode.UNAVAILABLE, "an image registry did not answer"),
        "Check the network and the registry, then try again.",
    ),
)


class _SaidAlready(logging.Filter):
    """Keeps the SDK from logging a traceback where a call ended badly and said why."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not (isinstance(error, dagger.QueryError) and "_type" in error.error.extensions)


logging.getLogger("dagger.mod").addFilter(_SaidAlready())


def documented(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Let what the engine refuses end the call with a documented code, as a command's end does."""

    @functools.wraps(function)
    async def ending(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except dagger.ExecError:
            raise
        except dagger.QueryError as error:
            _name(error)
            raise

    return ending


def _name(error: dagger.QueryError) -> None:
    told = error.error
    for said, (code, what), remedy in _REFUSALS:
        if said.search(told.message):
            told.message = f"{what}: {told.message}\n  {remedy}"
            # By these the command line ends with the code, as it does where a command ended.
            told.extensions.update(
                _type="EXEC_ERROR", cmd=[], exitCode=int(code), stdout="", stderr=""
            )
            return
