"""Google's clients, each made on first use; every call goes through `asked`."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from ml_pipeline.domain.errors import (
    ConfigurationError,
    PlatformRefusedError,
    PlatformUnavailableError,
    installing,
)
from ml_pipeline.domain.policies.cloud_vertex import VertexPolicy
from ml_pipeline.ports.clock import Clock

try:
    import google.auth
    import google.auth.transport.requests
    import google.oauth2.credentials
    import grpc  # type: ignore[import-untyped]
    from google.api_core import exceptions as api
    from google.cloud.aiplatform_v1.services.endpoint_service import EndpointServiceClient
    from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
    from google.cloud.aiplatform_v1.services.model_service import ModelServiceClient

    from ml_pipeline.adapters.vertex.refusals import LONGEST_S, PAUSES_S, Attempts
except ImportError as error:
    raise ConfigurationError(
        f"the platform vertex needs Google's libraries: {error}",
        remedy=installing("vertex"),
    ) from error

Answer = TypeVar("Answer")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: One call, in seconds; a retry is our own.
CALL_S = 60.0
#: What one call takes at most, with all its attempts and waits, in seconds.
LONGEST_CALL_S = (len(PAUSES_S) + 1) * CALL_S + len(PAUSES_S) * LONGEST_S
#: A token that is handed to others is renewed when it would last less than this.
_LASTS = timedelta(minutes=5)
#: Seconds of the project's time between two looks at a long-running operation.
_LOOK_S = 2.0


class Clients:
    """What all adapters of one project share.

    Args:
        policy: where.
        clock: for waits.
    """

    def __init__(self, policy: VertexPolicy, clock: Clock) -> None:
        self.policy = policy
        self.clock = clock
        self.attempts = Attempts(clock, self._renew)
        self._opened: dict[Any, Any] = {}

    @property
    def parent(self) -> str:
        """The location everything is in."""
        return f"projects/{self.policy.project}/locations/{self.policy.region}"

    @property
    def web(self) -> str:
        """Where predictions are asked for over HTTP."""
        google = f"https://{self.policy.region}-aiplatform.googleapis.com"
        return self.policy.emulator_url or google

    @cached_property
    def credentials(self) -> Any:
        """Google's default chain; an emulator hands out its own tokens."""
        if self.policy.emulator_url:
            return google.oauth2.credentials.Credentials(
                token=None,
                refresh_token="emulated",  # noqa: S106 - the emulator takes any
                token_uri=f"{self.policy.emulator_url}/token",
                client_id="emulated",
                client_secret="emulated",  # noqa: S106
            )
        try:
            found, _ = google.auth.default(scopes=[_SCOPE])
        except google.auth.exceptions.DefaultCredentialsError as error:
            raise ConfigurationError(
                f"there are no Google credentials: {error}",
                remedy="Run `gcloud auth application-default login`, or set up CI's identity.",
            ) from error
        return found

    def token(self) -> str:
        """A bearer token that lasts some minutes more.

        Raises:
            PlatformRefusedError: Google does not know who asks.
            PlatformUnavailableError: Google did not answer.
        """
        made = self.credentials
        # google-auth keeps `expiry` in UTC without a zone
        left = made.expiry - self.clock.now().replace(tzinfo=None) if made.expiry else None
        if not made.valid or (left is not None and left < _LASTS):
            self.attempts("for a token", self._renew)
        return str(made.token)

    def _renew(self) -> None:
        self.credentials.refresh(google.auth.transport.requests.Request())

    @property
    def jobs(self) -> JobServiceClient:
        """Training."""
        made: JobServiceClient = self.gapic(JobServiceClient)
        return made

    @property
    def models(self) -> ModelServiceClient:
        """The registry."""
        made: ModelServiceClient = self.gapic(ModelServiceClient)
        return made

    @property
    def endpoints(self) -> EndpointServiceClient:
        """Serving."""
        made: EndpointServiceClient = self.gapic(EndpointServiceClient)
        return made

    def gapic(self, client: Any, address: str | None = None) -> Any:
        """The client of one service; `address` when it is not Vertex AI's own."""
        if client in self._opened:
            return self._opened[client]
        if self.policy.emulator_grpc:
            channel = grpc.intercept_channel(
                grpc.insecure_channel(self.policy.emulator_grpc), _Bearer(self.token)
            )
            made = client(transport=client.get_transport_class("grpc")(channel=channel))
        else:
            where = address or f"{self.policy.region}-aiplatform.googleapis.com"
            made = client(credentials=self.credentials, client_options={"api_endpoint": where})
        self._opened[client] = made
        return made

    def close(self) -> None:
        """Give back the connections; whoever asks next opens new ones."""
        while self._opened:
            self._opened.popitem()[1].transport.close()

    def asked(self, what: str, ask: Callable[..., Answer], *args: Any, **given: Any) -> Answer:
        """The answer of one gapic method; see `Attempts`."""
        call = {"retry": None, "timeout": CALL_S, **given}
        return self.attempts(what, lambda: ask(*args, **call))

    def listed(self, what: str, ask: Callable[..., Any], **given: Any) -> Sequence[Any]:
        """All pages of a listing."""
        call = {"retry": None, "timeout": CALL_S, **given}
        return self.attempts(what, lambda: list(ask(**call)))

    def ended(self, what: str, operation: Any) -> None:
        """Wait until a long-running operation is over, well or not.

        Raises:
            PlatformUnavailableError: it takes longer than `vertex.change_limit_s`.
        """
        begun = self.clock.monotonic()
        while not self.attempts(what, lambda: operation.done(retry=None)):
            if self.clock.monotonic() - begun > self.policy.change_limit_s:
                raise PlatformUnavailableError(
                    f"Vertex AI was asked {what} and is not done after"
                    f" {self.policy.change_limit_s:g} s ({operation.operation.name})",
                    remedy="Look at it in the console, or raise 'vertex.change_limit_s'.",
                )
            self.clock.sleep(_LOOK_S)

    def finished(self, what: str, operation: Any) -> Any:
        """The result of a long-running operation, waited for.

        Raises:
            PlatformRefusedError: it failed; in the platform's words.
            PlatformUnavailableError: it takes longer than `vertex.change_limit_s`.
        """
        self.ended(what, operation)
        try:
            return operation.result(timeout=CALL_S, retry=None)
        except api.GoogleAPIError as error:
            raise PlatformRefusedError(
                f"Vertex AI was asked {what} and failed: {error}",
                remedy="Mend what it names, and try again.",
            ) from error


class _Bearer(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Puts the token on calls over a channel without TLS, which only an emulator has."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """The call with an `authorization`."""
        bearer = ("authorization", f"Bearer {self._token()}")
        known = details._replace(metadata=[*(details.metadata or ()), bearer])
        return continuation(known, request)
