"""MLflow on SQLite: opened once by one process at a time, its failures told apart.

MLflow takes seconds to import, so that happens with the first question asked.
"""

import logging
import os
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ml_pipeline.domain.errors import (
    BusyError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOCK_LIMIT_S = 120.0
_OUR_MISTAKES = {"RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE"}
_importing = threading.Lock()


class MlflowDatabase:
    """One SQLite file with MLflow's tracking and registry in it.

    Args:
        path: the file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client: MlflowClient | None = None
        self._inode: int | None = None
        self._opening = threading.Lock()

    @property
    def uri(self) -> str:
        """What `mlflow ui --backend-store-uri` takes."""
        return f"sqlite:///{self._path}"

    @contextmanager
    def asked(self, what: str) -> Iterator["MlflowClient"]:
        """A client to ask; whatever fails inside becomes an error of ours.

        Args:
            what: what is asked, for the message.

        Raises:
            PlatformUnavailableError: the database could not be asked.
            PlatformRefusedError: it said no.
        """
        with self._opening:
            client = self._client or self._open()
        self._verify()
        try:
            yield client
        except Exception as error:
            ours = self._translated(error, what)
            if ours is None:
                raise
            raise ours from error

    @contextmanager
    def alone(self, what: str = "lock") -> Iterator[None]:
        """Hold the lock that every change takes, over all processes of this state.

        Raises:
            BusyError: another process held it too long.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self._path}.{what}")
        try:
            lock.acquire(timeout=_LOCK_LIMIT_S)
        except Timeout as error:
            raise BusyError(
                f"another process holds the model registry {self._path}",
                remedy="Wait until the other run has ended, and try again.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def exists(self) -> bool:
        """Whether the file is there at all, with something in it."""
        return self._path.is_file() and self._path.stat().st_size > 0

    def _open(self) -> "MlflowClient":
        """Two processes that make the same database at once break it, so one waits."""
        with self.alone("open"):
            if not self._path.exists():
                with closing(sqlite3.connect(self._path)) as made:
                    made.execute("PRAGMA journal_mode = WAL")
            self._verify(thorough=True)
            client_of = _mlflow().client
            try:
                client = client_of(tracking_uri=self.uri, registry_uri=self.uri)
                client.search_registered_models(max_results=1)
                client.search_experiments(max_results=1)
            except Exception as error:
                ours = self._translated(error, "its schema")
                if ours is None:
                    raise
                raise ours from error
        self._inode = self._path.stat().st_ino
        self._client = client
        return client

    def _verify(self, *, thorough: bool = False) -> None:
        """SQLite goes on with a file that was deleted or replaced under it, so it is looked at."""
        question = "PRAGMA quick_check(1)" if thorough else "PRAGMA schema_version"
        try:
            if self._inode not in {None, self._path.stat().st_ino}:
                raise self._unavailable("its file was replaced while it was open")
            address = f"{self._path.as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=20)) as base:
                said = base.execute(question).fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise self._unavailable(str(error)) from error
        if thorough and said != "ok":
            raise self._unavailable(str(said))

    def _translated(self, error: Exception, what: str) -> PipelineError | None:
        """Our error for one of MLflow's or the database's; None for anything else."""
        mlflow = _mlflow()
        if isinstance(error, (mlflow.database_failure, sqlite3.Error, OSError)):
            return self._unavailable(f"{what}: {_first_cause(error)}")
        if not isinstance(error, mlflow.failure):
            return None
        if "out-of-date database schema" in error.message:
            return PlatformRefusedError(
                f"the model registry {self._path} was made by an older MLflow",
                remedy=f"Copy the file, then run `mlflow db upgrade {self.uri}`.",
            )
        if error.error_code in _OUR_MISTAKES:
            return PlatformRefusedError(
                f"the model registry {self._path} refused {what}: {error.message}",
                remedy=f"See what it holds: `mlflow ui --backend-store-uri {self.uri}`.",
            )
        return self._unavailable(f"{what}: {error.message}")

    def _unavailable(self, why: str) -> PlatformUnavailableError:
        return PlatformUnavailableError(
            f"the model registry {self._path} could not be asked: {why.splitlines()[0]}",
            remedy="Try again when no other program holds the file; is it damaged, restore a copy.",
        )


def _first_cause(error: BaseException) -> BaseException:
    """What SQLite said: what is wrapped around it tells where MLflow was, not what is wrong."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@dataclass(frozen=True, slots=True)
class _Mlflow:
    """What is used of MLflow; its own types are not known before it is imported."""

    client: "type[MlflowClient]"
    failure: Any
    database_failure: type[Exception]


@cache
def _mlflow() -> _Mlflow:
    """MLflow, imported without telemetry, log lines and warnings of its own."""
    # MLflow reads these when it is imported; there is no other way to tell it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # noqa: TID251
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # noqa: TID251
    with _importing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds
        from mlflow.exceptions import MlflowException  # noqa: PLC0415
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return _Mlflow(MlflowClient, MlflowException, SQLAlchemyError)
