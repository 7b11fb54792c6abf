"""One online endpoint: its deployments, its traffic, and changes that take their time."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from ml_pipeline.adapters.azureml import sdk
from ml_pipeline.adapters.azureml.client import AbsentError, Workspace
from ml_pipeline.adapters.azureml.lease import Lease
from ml_pipeline.adapters.azureml.states import PROVISIONED, known
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError

#: Azure's names of deployments have 3 to 32 characters, and a slot may be `v1`.
_SLOT = "slot-"


def deployment_of(slot: str) -> str:
    """The deployment's name of a slot.

    Raises:
        PlatformRefusedError: it would be longer than Azure takes.
    """
    name = f"{_SLOT}{slot}"
    if len(name) > 32:
        raise PlatformRefusedError(
            f"slot {slot} has more than {32 - len(_SLOT)} characters", remedy="Shorten its name."
        )
    return name


def slot_in(deployment: str) -> str:
    """The slot of a deployment's name."""
    return deployment.removeprefix(_SLOT)


def endpoint_name(workspace: Workspace, model: str, role: str) -> str:
    """The endpoint's name, which must be unique in the region: set, or derived from both names."""
    given = getattr(workspace.policy, f"{role}_endpoint")
    if given is not None:
        return str(given)
    mark = hashlib.sha256(f"{workspace.scope}/{model}".encode()).hexdigest()[:6]
    start = "".join(one for one in model if one.isalnum())[:10] or "model"
    return f"ml-{start}-{mark}-{role[:4]}"


class Endpoint:
    """Speaks with one endpoint; the same object stands behind host, router and metrics.

    Args:
        workspace: where it is.
        model: the project's model, kept in the endpoint's tags.
        role: `staging` or `production`.
    """

    def __init__(self, workspace: Workspace, model: str, role: str) -> None:
        self.workspace = workspace
        self.role = role
        self.name = endpoint_name(workspace, model, role)
        self.lease = Lease(workspace, self.name)
        self._model = model
        self._key: str | None = None

    @property
    def resource_id(self) -> str:
        """Its path in Azure's resource manager."""
        return f"{self.workspace.scope}/onlineEndpoints/{self.name}"

    def find(self) -> Any | None:
        """The endpoint as it is now; None when there is none."""
        try:
            return self.workspace.ask(
                f"endpoint {self.name}", lambda ml: ml.online_endpoints.get(self.name)
            )
        except AbsentError:
            return None

    def get(self) -> Any:
        """The endpoint as it is now.

        Raises:
            PlatformRefusedError: there is none.
        """
        found = self.find()
        if found is None:
            raise PlatformRefusedError(
                f"there is no endpoint {self.name}", remedy="Deploy a version first."
            )
        return found

    def ensure(self) -> Any:
        """The endpoint, made when it is not there, ready for changes."""
        if self.find() is None:
            self.lease.forget()
            made = sdk.ManagedOnlineEndpoint(
                name=self.name,
                auth_mode="key",
                tags={"ml-pipeline.project": self._model, "ml-pipeline.role": self.role},
            )
            self.workspace.ask(
                f"to make endpoint {self.name}",
                lambda ml: ml.online_endpoints.begin_create_or_update(made),
            )
        return self.settled()

    def change(self, what: str, edit: Callable[[Any], None]) -> Any:
        """Change the endpoint: read, edit, write, wait until it is applied; then as read."""
        self.settled()
        found = self.get()
        edit(found)
        self.workspace.ask(what, lambda ml: ml.online_endpoints.begin_create_or_update(found))
        return self.settled()

    def settled(self) -> Any:
        """The endpoint once no change is under way.

        Raises:
            PlatformRefusedError: the change failed.
            PlatformUnavailableError: it took longer than `azureml.change_limit_s`.
        """

        def look() -> Any | None:
            found = self.get()
            ready = known(PROVISIONED, found.provisioning_state, f"endpoint {self.name}")
            if ready is False:
                raise PlatformRefusedError(
                    f"endpoint {self.name} is {found.provisioning_state}",
                    remedy=f"See why in the studio, and delete the endpoint {self.name}.",
                )
            return found if ready else None

        return self.waited(f"endpoint {self.name}", look)

    def waited(self, what: str, look: Callable[[], Any | None]) -> Any:
        """What `look` finds, once it finds something."""
        policy, clock = self.workspace.policy, self.workspace.clock
        begun = clock.monotonic()
        while (found := look()) is None:
            if clock.monotonic() - begun > policy.change_limit_s:
                raise PlatformUnavailableError(
                    f"{what} has been changing for more than {policy.change_limit_s:g} s",
                    remedy="Look at it in the studio, or raise 'azureml.change_limit_s'.",
                )
            # not interrupted: a change half watched would be a change nobody answers for
            clock.pause(policy.change_poll_s)
        return found

    def deployment(self, slot: str) -> Any | None:
        """A slot's deployment as it is now; None when there is none."""
        name = deployment_of(slot)
        try:
            return self.workspace.ask(
                f"deployment {name}",
                lambda ml: ml.online_deployments.get(name, endpoint_name=self.name),
            )
        except AbsentError:
            return None

    def deployments(self) -> list[Any]:
        """All of them; none when there is no endpoint."""
        try:
            return self.workspace.ask(
                f"the deployments of {self.name}",
                lambda ml: list(ml.online_deployments.list(endpoint_name=self.name)),
            )
        except AbsentError:
            return []

    def key(self) -> str:
        """The endpoint's key, asked for once."""
        if self._key is None:
            keys = self.workspace.ask(
                f"the key of {self.name}", lambda ml: ml.online_endpoints.get_keys(self.name)
            )
            self._key = str(keys.primary_key)
        return self._key

    def delete(self) -> None:
        """Take the endpoint away, with everything on it; waits until it is gone."""
        self.workspace.ask(
            f"to delete endpoint {self.name}",
            lambda ml: ml.online_endpoints.begin_delete(name=self.name),
        )
        self.waited(f"endpoint {self.name}", lambda: True if self.find() is None else None)
        self.lease.forget()


def shares(traffic: Mapping[str, Any] | None) -> dict[str, int]:
    """Per cent by slot, as the endpoint has them; the SDK strips zeros from what it sends."""
    return {slot_in(name): int(share) for name, share in (traffic or {}).items() if int(share)}
