"""What follows from named inputs alone, kept across runs below the state folder."""

import re
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from ml_pipeline.adapters.local.disk import link_or_copy
from ml_pipeline.domain.errors import StorageError

_SAFE = re.compile(r"^[a-z0-9-]+$")


class FolderMemo:
    """Speaks `ports.evidence.Memo`: one folder a key, moved into place when whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _place(self, kind: str, key: str) -> Path:
        if not (_SAFE.match(kind) and _SAFE.match(key)):
            raise ValueError(f"not a name: {kind!r}, {key!r}")
        return self._root / kind / key

    def get(self, kind: str, key: str) -> Path | None:
        place = self._place(kind, key)
        return place if place.is_dir() else None

    def put(self, kind: str, key: str, files: Sequence[Path], root: Path) -> None:
        place = self._place(kind, key)
        part = place.with_name(f".{key}.{uuid.uuid4().hex}")
        try:
            part.mkdir(parents=True)
            for file in files:
                link_or_copy(file, part / file.relative_to(root))
            part.rename(place)
        except FileExistsError:
            shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if place.is_dir():  # another run was first: its answer is the same
                return
            raise StorageError(
                f"{place} could not be written: {error.strerror or error}",
                remedy=f"Free space on, or allow writing to, {self._root}.",
            ) from error
