"""Whose rollout it is: a blob, for Azure ML itself changes nothing on a condition.

The API of online endpoints (2025-12-01) has neither ETag nor If-Match: of two runs that read a
tag and write it, both would hold the lease. A blob is made only where there is none.

Source:
    Specifying conditional headers for Blob service operations: `If-None-Match: *` and `If-Match`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.adapters.azureml.client import AbsentError, Workspace
from ml_pipeline.domain.errors import BusyError, DataError, PlatformRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lease as it was read: who holds it, and where `abort` gives traffic back to, in per cent.

    `etag` is the blob's, which changes with each write.
    """

    run_id: str
    fallback: Mapping[str, int]
    etag: str


class Lease:
    """The lease of one endpoint's rollout; it does not run out.

    Args:
        workspace: whose datastore it is in.
        endpoint: the endpoint's name.
    """

    def __init__(self, workspace: Workspace, endpoint: str) -> None:
        self._workspace = workspace
        self._endpoint = endpoint
        self._blob = f"{workspace.policy.prefix}/rollouts/{endpoint}.json"

    def read(self) -> Held | None:
        """The lease as it is now; None when nobody holds it.

        Raises:
            DataError: the blob is not ours.
        """
        try:
            text, etag = self._workspace.tried(f"to read {self._blob}", self._content)
        except AbsentError:
            return None
        try:
            said = json.loads(text)
            fallback = {str(slot): int(share) for slot, share in said["fallback"].items()}
            return Held(run_id=str(said["run"]), fallback=fallback, etag=etag)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"the blob {self._blob} names no run and no fallback: {error!r}",
                remedy=f"Remove the blob {self._blob} once no run moves traffic.",
            ) from error

    def take(self, run_id: str, fallback: Mapping[str, int]) -> None:
        """Hold the lease; the run that holds it may take it anew.

        Raises:
            BusyError: another run holds it.
        """
        there = self.read()
        if there is None or there.run_id == run_id:
            text = json.dumps({"run": run_id, "fallback": dict(fallback)})
            what = f"to hold the traffic of {self._endpoint}"
            self._workspace.tried(what, lambda: self._write(text, there))
            there = self.read()  # a write that came second, or whose answer was lost, ends here
        if there is None or there.run_id != run_id:
            holder = "another run" if there is None else f"run {there.run_id}"
            end = "" if there is None else f", or end it: ml-pipeline abort {there.run_id}"
            raise BusyError(
                f"{holder} is moving the traffic of {self._endpoint}", remedy=f"Wait for it{end}."
            )

    def require(self, run_id: str) -> Held:
        """The lease of this run.

        Raises:
            PlatformRefusedError: another run holds it, or nobody.
        """
        there = self.read()
        if there is None or there.run_id != run_id:
            raise PlatformRefusedError(
                f"the rollout of {self._endpoint} is held by"
                f" {'nobody' if there is None else f'run {there.run_id}'}, not by run {run_id}",
                remedy="Start a new run.",
            )
        return there

    def end(self, held: Held) -> None:
        """Give the lease back as it was read.

        Raises:
            PlatformRefusedError: it was taken anew meanwhile.
        """
        self._workspace.tried(
            f"to end the rollout of {self._endpoint}, as run {held.run_id} holds it",
            lambda: self._delete(_unless_changed(held)),
        )

    def forget(self) -> None:
        """Drop whatever lease there is: an endpoint that is gone has no traffic to move."""
        self._workspace.tried(
            f"to forget the rollout of {self._endpoint}", lambda: self._delete({})
        )

    def _content(self) -> tuple[str, str]:
        found = self._workspace.container.download_blob(self._blob)
        return found.readall().decode("utf-8", "replace"), str(found.properties.etag)

    def _write(self, text: str, there: Held | None) -> None:
        condition = {} if there is None else {"overwrite": True, **_unless_changed(there)}
        try:
            self._workspace.container.upload_blob(self._blob, text.encode(), **condition)
        except (sdk.ResourceExistsError, sdk.ResourceModifiedError):
            return  # somebody was first: the caller reads who

    def _delete(self, condition: Mapping[str, Any]) -> None:
        try:
            self._workspace.container.delete_blob(self._blob, **condition)
        except sdk.ResourceNotFoundError:
            return


def _unless_changed(held: Held) -> dict[str, Any]:
    return {"etag": held.etag, "match_condition": sdk.MatchConditions.IfNotModified}
