"""What a project says about Amazon SageMaker."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from ml_pipeline.domain.policies.base import Policy, Positive

_ROLE = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$"
_BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
_BUILD = "build one, push it to ECR, and name it by digest (docs/sagemaker.md says how)"
_FOUND = "the reference of an image AWS publishes (docs/sagemaker.md says how to find it)"
#: A file below the project: no part of it leads up, and none is an option of pip's.
_BELOW = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
_INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
#: Source: AlarmActions of PutMetricAlarm, CloudWatch API reference: at most 5, by ARN.
_ACTION = r"^arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:.+$"


class SageMakerPolicy(Policy):
    """`[sagemaker]`: read on the platform `sagemaker` only.

    Credentials are never set here: they come from the AWS default chain (environment, profile,
    OIDC role, instance).
    """

    #: region; without it the AWS default chain decides (`AWS_REGION`, profile)
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")
    #: ARN of the role that jobs and endpoints run as
    role: str | None = Field(default=None, pattern=_ROLE)
    #: bucket for data, models and registered bundles
    bucket: str | None = Field(default=None, pattern=_BUCKET)
    #: folder in the bucket that is this project's
    prefix: str = Field(default="ml-pipeline", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    #: training and serving image, best by digest (`…@sha256:…`)
    image: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[^ ]+$")
    #: train in an image AWS publishes, to which the project's code is sent, instead of in `image`;
    #: needs the extra `sagemaker-script`
    script_mode: bool = False
    #: script mode: the image AWS publishes, by its reference
    training_image: str | None = Field(
        default=None, min_length=1, max_length=255, pattern=r"^[^ ]+$"
    )
    #: script mode: the project's file that pip installs before the training
    requirements: str | None = Field(default=None, pattern=_BELOW)
    #: script mode: MB the project's packed code may have; more is mostly data that lies there
    source_limit_mb: int = Field(default=100, ge=1, le=5000)
    #: instance a training job runs on
    instance_type: str = Field(default="ml.m5.large", pattern=_INSTANCE)
    #: instances of one training job
    instance_count: int = Field(default=1, ge=1, le=100)
    #: disk of a training instance in GB
    volume_gb: int = Field(default=30, ge=1, le=16384)
    #: train on spot capacity: cheaper, may wait and be restarted
    spot: bool = False
    #: seconds a spot job may wait for capacity, on top of `train.time_limit_s`
    spot_wait_s: Positive = 3600
    #: instance a deployment runs on
    serving_instance_type: str = Field(default="ml.m5.large", pattern=_INSTANCE)
    #: instances of one deployment
    serving_instance_count: int = Field(default=1, ge=1, le=100)
    #: seconds the metrics of endpoints are summed over; 60 is what SageMaker writes
    metrics_period_s: int = Field(default=60, ge=1, le=60)
    #: seconds until metrics of a minute are complete
    metrics_delay_s: float = Field(default=120, ge=0, le=3600)
    #: seconds an endpoint may take to change
    change_limit_s: Positive = 3600
    #: seconds the fleet that a new one replaces is kept: an alarm that rings until then brings it
    #: back. A minute is summed and some two minutes late, so much less rings never; 0 is no guard
    baking_s: int = Field(default=300, ge=0, le=3600)
    #: whom CloudWatch tells when an alarm of a deployment rings: ARNs of SNS topics or functions
    alarm_actions: tuple[Annotated[str, Field(pattern=_ACTION)], ...] = Field(
        default=(), max_length=5
    )
    #: address of an emulator, instead of AWS
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^ ]+$")

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Key and message for everything the platform cannot do without."""
        needed = {
            "role": "the ARN of the role its jobs run as",
            "bucket": "jobs read and write there",
            "image": _BUILD,
        }
        for key, what in needed.items():
            if getattr(self, key) is None:
                yield key, f"must be set on SageMaker: {what}"
        if self.baking_s >= self.change_limit_s:
            yield "baking_s", "must be less than change_limit_s, which waits for all of a change"
        if self.script_mode and self.training_image is None:
            yield "training_image", f"must be set in script mode: {_FOUND}"
        if not self.script_mode:
            for key in ("training_image", "requirements"):
                if getattr(self, key) is not None:
                    yield key, "means nothing without 'script_mode = true'"
