"""Where the platform keeps what: in `platform/` under the project's state folder."""

from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.domain.errors import StorageError

#: Bytes: databases, logs and addresses of a platform that starts.
_LEAST_SPACE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths of one platform.

    Args:
        state: the project's state folder, which holds other things too.
    """

    state: Path

    @property
    def root(self) -> Path:
        """The platform's own folder."""
        return self.state / "platform"

    @property
    def database(self) -> Path:
        """Deployments, weights, lease and events."""
        return self.root / "platform.sqlite"

    @property
    def traffic(self) -> Path:
        """What users saw."""
        return self.root / "traffic.sqlite"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.root / "platform.lock"

    @property
    def token(self) -> Path:
        """The admin API's token; only the owner may read it."""
        return self.root / "token"

    @property
    def address(self) -> Path:
        """Where a running platform listens, as JSON; absent when none is up."""
        return self.root / "platform.json"

    @property
    def deployments(self) -> Path:
        """Copies of the packages that are deployed."""
        return self.root / "deployments"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def ready(self) -> Path:
        """Files in which started servers say where they listen."""
        return self.root / "ready"

    @property
    def tried(self) -> Path:
        """Written and taken away again, to see that there is space."""
        return self.root / ".tried"

    def make(self) -> None:
        """Create what is missing, readable by the owner only.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for one in (self.deployments, self.logs, self.ready):
                one.mkdir(mode=0o700, exist_ok=True)
            # A platform that cannot write is waited for in vain, and cannot say why.
            try:
                self.tried.write_bytes(bytes(_LEAST_SPACE))
            finally:
                self.tried.unlink(missing_ok=True)  # another may try at the same moment
        except OSError as error:
            raise StorageError(
                f"the platform's folder {self.root} cannot be written: {error.strerror or error}",
                remedy=f"Free space on, or allow writing to, {self.root} and try again.",
            ) from error
