"""What a project says about Google's Vertex AI."""

from collections.abc import Iterator

from pydantic import Field

from ml_pipeline.domain.policies.base import Policy, Positive

_BUILD = "build one, push it to Artifact Registry, and name it by digest (docs/vertex.md says how)"
_MACHINE = r"^[a-z0-9]+-[a-z0-9-]+$"
_LOOPBACK = r"^http://(127\.0\.0\.1|localhost):\d{1,5}$"


class VertexPolicy(Policy):
    """`[vertex]`: read on the platform `vertex` only.

    Credentials are never set here: they come from Google's default chain (environment, workload
    identity federation, the machine's service account).
    """

    #: id of the Google Cloud project
    project: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    #: region jobs, models and endpoints are in
    region: str = Field(default="us-central1", pattern=r"^[a-z]+-[a-z]+[0-9]{1,2}$")
    #: bucket for data, models and registered bundles, in the same region
    bucket: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")
    #: folder in the bucket that is this project's
    prefix: str = Field(default="ml-pipeline", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    #: training and serving image, best by digest (`…@sha256:…`)
    image: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[^ ]+$")
    #: e-mail of the service account jobs and endpoints run as; without it, Vertex AI's own
    service_account: str | None = Field(default=None, pattern=r"^[^@ ]+@[^@ ]+$")
    #: machine a training job runs on
    machine_type: str = Field(default="n1-standard-4", pattern=_MACHINE)
    #: machines of one training job
    machine_count: int = Field(default=1, ge=1, le=100)
    #: train on spot capacity: cheaper, may be preempted and started again
    spot: bool = False
    #: machine a deployment runs on
    serving_machine_type: str = Field(default="n1-standard-2", pattern=_MACHINE)
    #: machines a deployment always has
    serving_min_machines: int = Field(default=1, ge=1, le=100)
    #: machines a deployment may grow to
    serving_max_machines: int = Field(default=1, ge=1, le=100)
    #: seconds between two samples of an endpoint's metrics; 60 is what Vertex AI writes
    metrics_period_s: Positive = 60
    #: seconds until a sample can be read
    metrics_delay_s: float = Field(default=120, ge=0, le=3600)
    #: seconds an endpoint or a model may take to change
    change_limit_s: Positive = 1800
    #: web address of an emulator (storage, predictions, tokens), instead of Google's
    emulator_url: str | None = Field(default=None, pattern=_LOOPBACK)
    #: `127.0.0.1:PORT` of the emulator's gRPC services
    emulator_grpc: str | None = Field(default=None, pattern=r"^(127\.0\.0\.1|localhost):\d{1,5}$")

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Key and message for everything the platform cannot do without."""
        if self.project is None:
            yield "project", "must be set on Vertex AI: the Google Cloud project that pays"
        if self.bucket is None:
            yield "bucket", "must be set on Vertex AI: jobs read and write there"
        if self.image is None:
            yield "image", f"must be set on Vertex AI: {_BUILD}"
        if (self.emulator_url is None) != (self.emulator_grpc is None):
            yield "emulator_grpc", "goes with 'emulator_url': set both or neither"
        if self.serving_max_machines < self.serving_min_machines:
            yield "serving_max_machines", "is smaller than 'serving_min_machines'"
