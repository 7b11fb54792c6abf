"""One workspace's clients, and the end of every vendor exception."""

import uuid
import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from ml_pipeline.adapters.azureml import sdk, waits
from ml_pipeline.adapters.azureml.identity import credential
from ml_pipeline.domain.errors import (
    ConfigurationError,
    PipelineError,
    PlatformRefusedError,
    PlatformUnavailableError,
)
from ml_pipeline.domain.policies.cloud_azureml import AzuremlPolicy
from ml_pipeline.ports.clock import Clock

_T = TypeVar("_T")
_ARM = "https://management.azure.com"
_LIMITS_S = {"connection_timeout": 10, "read_timeout": 30}
_AGAIN = "Try again; see https://azure.status.microsoft if it lasts."


class AbsentError(PlatformRefusedError):
    """The platform has no such thing."""


class Workspace:
    """The clients of one workspace.

    Args:
        policy: `[azureml]`.
        clock: for waits between looks.
        environ: where an identity may be named.
        backoff_factor: seconds the first retry without a Retry-After waits, about.
    """

    def __init__(
        self,
        policy: AzuremlPolicy,
        clock: Clock,
        environ: Mapping[str, str],
        *,
        backoff_factor: float = 0.5,
    ) -> None:
        for key, message in policy.lacking():
            raise ConfigurationError(
                f"[azureml] {key} {message}", remedy=f"Set azureml.{key} in the configuration."
            )
        self.policy = policy
        self.clock = clock
        self._environ = environ
        self._options = {**waits.TRIES, "retry_backoff_factor": backoff_factor}
        self._made: dict[str, Any] = {}

    @property
    def scope(self) -> str:
        """The workspace's path in Azure's resource manager."""
        policy = self.policy
        return (
            f"/subscriptions/{policy.subscription}/resourceGroups/{policy.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{policy.workspace}"
        )

    def ask(self, what: str, question: Callable[[Any], _T]) -> _T:
        """What `question` gets from the `MLClient`.

        Raises:
            AbsentError: there is no such thing.
            PlatformRefusedError: the platform said no.
            PlatformUnavailableError: it did not answer, or not before the run was asked to stop.
        """
        return self.tried(what, lambda: question(self._one("ml", self._ml)))

    def tried(self, what: str, attempt: Callable[[], _T]) -> _T:
        """What an attempt gives; a token that expired is renewed once."""
        with waits.one_call(self.clock):
            try:
                return self._renewing(what, attempt)
            except _NoTokenError:
                waits.check(self.clock)  # the credential chain swallows why it had none
                raise

    def _renewing(self, what: str, attempt: Callable[[], _T]) -> _T:
        try:
            return _translated(what, attempt)
        except _ExpiredError:
            self.close()  # new clients ask for new tokens
        try:
            return _translated(what, attempt)
        except _ExpiredError as error:
            raise PlatformRefusedError(
                f"{what}: Azure takes no token of this identity: {error}",
                remedy="Log in again (`az login`), or renew the CI job's federated credential.",
            ) from error

    def rest(self, what: str, url: str) -> Any:
        """The JSON of a GET with the workspace's identity, for what the SDK has no method for."""

        def get() -> Any:
            answer = self._one("rest", self._rest).send_request(sdk.HttpRequest("GET", url))
            answer.raise_for_status()
            return answer.json()

        return self.tried(what, get)

    def close(self) -> None:
        """Give back the connections; whoever asks next opens new ones."""
        made, self._made = self._made, {}
        for name in ("transport", "credential"):
            if name in made:
                made[name].close()

    @property
    def container(self) -> Any:
        """The datastore's blob container."""
        return self._one("blobs", self._blobs)

    @property
    def metrics(self) -> Any:
        """Azure Monitor's client for the workspace's region."""
        return self._one("metrics", self._metrics)

    @cached_property
    def _workspace(self) -> Any:
        return self.ask("the workspace", lambda ml: ml.workspaces.get(self.policy.workspace))

    @property
    def tracking_url(self) -> str:
        """Where the workspace speaks MLflow's REST API."""
        return str(self._workspace.mlflow_tracking_uri).replace("azureml://", "https://", 1)

    def _one(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _asking(self) -> dict[str, Any]:
        """How every client asks: one pool of connections, which `MLClient` could not close."""
        opened = self._one("transport", lambda: waits.Transport(self.clock, **_LIMITS_S))
        return {**self._options, "transport": opened}

    def _credential(self) -> Any:
        wire = self._asking()["transport"]
        return self._one("credential", lambda: credential(self._environ, wire))

    def _ml(self) -> Any:
        policy, options = self.policy, self._asking()
        if policy.endpoint_url is not None:
            url = f"{policy.endpoint_url}/"
            # a cloud's name keeps the address it was first used with, for the whole process
            options |= {
                "cloud": f"emulator-{uuid.uuid4().hex}",
                "cloud_metadata": {
                    "azure_portal": url,
                    "resource_manager": url,
                    "active_directory": url,
                    "aml_resource_id": "https://ml.azure.com/",
                    "storage_endpoint": "core.windows.net",
                    "registry_discovery_endpoint": url,
                },
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sdk.MLClient(
                self._credential(),
                policy.subscription,
                policy.resource_group,
                policy.workspace,
                enable_telemetry=False,
                **options,
            )

    def _rest(self) -> Any:
        scope = f"{_ARM}/.default"
        policies = [
            sdk.RetryPolicy(**self._options),
            sdk.BearerTokenCredentialPolicy(self._credential(), scope),
        ]
        transport = self._asking()["transport"]
        return sdk.PipelineClient(self.tracking_url, policies=policies, transport=transport)

    def _blobs(self) -> Any:
        name, emulator = self.policy.datastore, self.policy.endpoint_url
        store = self.ask(f"datastore {name}", lambda ml: ml.datastores.get(name))
        if not isinstance(store, sdk.AzureBlobDatastore):
            raise ConfigurationError(
                f"azureml.datastore = {name!r} is no blob datastore but {type(store).__name__}",
                remedy="Name a datastore that is a blob container.",
            )
        address = f"{store.protocol}://{store.account_name}.blob.{store.endpoint}"
        if emulator is not None:
            address = f"{emulator}/{store.account_name}"
        asking = self._asking()
        retry = waits.BlobRetry(asking["transport"], asking["retry_backoff_factor"])
        service = sdk.BlobServiceClient(
            address, self._credential(), transport=asking["transport"], retry_policy=retry
        )
        return service.get_container_client(store.container_name)

    def _metrics(self) -> Any:
        region = str(self._workspace.location)
        address = f"https://{region}.metrics.monitor.azure.com"
        return sdk.MetricsClient(
            self.policy.endpoint_url or address, self._credential(), **self._asking()
        )


class _ExpiredError(Exception):
    """Azure answered 401."""


class _NoTokenError(PlatformRefusedError):
    """No credential of the chain gave a token."""


def _translated(what: str, attempt: Callable[[], _T]) -> _T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside the SDK are its own business
            return attempt()
    except sdk.ResourceNotFoundError as error:
        raise AbsentError(
            f"{what}: Azure ML has no such thing: {_said(error)}",
            remedy="Check the names under [azureml].",
        ) from error
    except sdk.CredentialUnavailableError as error:
        raise PlatformRefusedError(
            f"{what}: there are no Azure credentials: {_said(error)}",
            remedy="Log in with `az login`, or give the CI job a federated identity.",
        ) from error
    except (sdk.ServiceRequestError, sdk.ServiceResponseError) as error:
        raise PlatformUnavailableError(
            f"{what}: Azure ML did not answer; is it up? {_said(error)}", remedy=_AGAIN
        ) from error
    except sdk.HttpResponseError as error:
        raise _by_status(what, error) from error
    except sdk.MlException as error:
        raise PlatformRefusedError(
            f"{what}: azure-ai-ml refused it: {_said(error)}",
            remedy="Correct what it names under [azureml].",
        ) from error
    except sdk.AzureError as error:
        raise PlatformUnavailableError(f"{what}: {_said(error)}", remedy=_AGAIN) from error


def _by_status(what: str, error: Any) -> PipelineError | _ExpiredError:
    status = error.status_code
    if status == 401:
        return _ExpiredError(_said(error))
    if status is None and isinstance(error, sdk.ClientAuthenticationError):
        # the credential chain itself failed: an identity service that is down, or refuses
        return _NoTokenError(
            f"{what}: no token could be had: {_said(error)}",
            remedy="Log in with `az login`, or see why the identity service refuses.",
        )
    if status == 403:
        return PlatformRefusedError(
            f"{what}: this identity is not allowed to: {_said(error)}",
            remedy="Give it the roles docs/azureml.md lists.",
        )
    if status is None or status in {408, 429} or status >= 500:
        return PlatformUnavailableError(
            f"{what}: Azure ML answered {status}: {_said(error)}", remedy=_AGAIN
        )
    return PlatformRefusedError(
        f"{what}: Azure ML answered {status}: {_said(error)}",
        remedy="Correct what it names under [azureml], or wait for what it says is under way.",
    )


def _said(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return " ".join(str(text).split())[:500]
