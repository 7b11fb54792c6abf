"""How a call ends badly: with a documented code and a sentence, also where no command ran.

A command's own code reaches the caller as it is. What the engine refuses before any command runs
(a secret that is not there, a base image that cannot be had) has none; it is given one here.
"""

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import dagger

from ml_pipeline.domain.errors import ExitCode

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the engine says, what it means, the code it comes to, and what to do about it."""

    said: re.Pattern[str]
    code: ExitCode
    meaning: str
    remedy: str


_NO_NETWORK = (
    r"dial tcp|i/o timeout|no such host|TLS handshake timeout|connection (?:refused|reset)"
    r"|context deadline exceeded|: EOF$|toomanyrequests|429 Too Many"
    r"|(?i:unexpected status(?: code)?[^\n]*5\d\d|50\d (?:internal server|bad gateway|service un))"
)
_SECRET = Refusal(
    re.compile(r"secret env |resolve session secret|secret (?:file|command)"),
    ExitCode.CONFIGURATION,
    "a secret cannot be read",
    "Set the variable or write the file that its option names, or leave the option out.",
)
#: While containers are made; the first that fits.
_MAKING = (
    _SECRET,
    Refusal(
        re.compile(r"failed to parse image address|invalid reference format"),
        ExitCode.CONFIGURATION,
        "the base image is no image's name",
        "Correct --base-image: something like registry.example.org/python:3.13.",
    ),
    Refusal(
        re.compile(rf"failed to resolve image[^\n]*(?:{_NO_NETWORK})", re.MULTILINE),
        ExitCode.UNAVAILABLE,
        "an image registry did not answer",
        "Check the network and the registry, then try again.",
    ),
    Refusal(
        re.compile(r"failed to resolve image"),
        ExitCode.CONFIGURATION,
        "the base image cannot be had",
        "Check --base-image, and that the engine may pull it.",
    ),
    Refusal(
        re.compile(_NO_NETWORK, re.MULTILINE),
        ExitCode.UNAVAILABLE,
        "the engine got no answer from something it needs",
        "Check the network of the engine and what the message names, then try again.",
    ),
)
#: While an image is pushed: nothing else happens then, so whatever is said is the registry's no.
PUSHING = (
    _SECRET,
    Refusal(
        re.compile(r"parse|invalid reference format|repository name must"),
        ExitCode.CONFIGURATION,
        "the image's address is none",
        "Correct --address: something like registry.example.org/team/model:1.2.",
    ),
    Refusal(
        re.compile(_NO_NETWORK, re.MULTILINE),
        ExitCode.UNAVAILABLE,
        "the image's registry did not answer",
        "Check the network and --address, then try again.",
    ),
    Refusal(
        re.compile(""),
        ExitCode.REFUSED,
        "the registry did not take the image",
        "Check --username, --password, and that they may push to --address.",
    ),
)
#: The program that installs ends with its own codes; any other is of a base image without Python.
_INSTALLER = "/opt/install.py"
_NO_PYTHON = "the base image has no Python >= 3.11 on its PATH"


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
        with named(_MAKING):
            return await function(*args, **kwargs)

    return ending


@contextmanager
def named(refusals: Sequence[Refusal]) -> Iterator[None]:
    """Give what the engine refuses a code and a sentence, the first of `refusals` that fits."""
    try:
        yield
    except dagger.ExecError as error:
        if error.command[1:2] == [_INSTALLER] and error.exit_code in {1, 2, 126, 127}:
            _end(error, ExitCode.CONFIGURATION, _NO_PYTHON, "Name another --base-image.")
            error.message = error.error.message
        raise
    except dagger.QueryError as error:
        fits = [one for one in refusals if one.said.search(error.error.message)]
        if fits and "_type" not in error.error.extensions:
            _end(error, fits[0].code, fits[0].meaning, fits[0].remedy)
        raise


def _end(error: dagger.QueryError, code: ExitCode, meaning: str, remedy: str) -> None:
    told = error.error
    told.message = f"{meaning}: {told.message}\n  {remedy}"
    # By these the command line ends with the code, as it does where a command ended.
    plain = {"cmd": [], "stdout": "", "stderr": ""}
    told.extensions = {**plain, **told.extensions, "_type": "EXEC_ERROR", "exitCode": int(code)}
