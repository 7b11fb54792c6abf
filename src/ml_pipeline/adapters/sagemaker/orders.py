"""Parts of a request for a training job, as CreateTrainingJob takes them."""

from typing import Any

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports import containers
from ml_pipeline.ports.training import TrainingRequest

#: Source: HyperParameterValue, SageMaker API reference.
_VALUE_LENGTH = 2500


def hyperparameters(request: TrainingRequest) -> dict[str, str]:
    """What the container's program is told; the training contract stands in docs/containers.md.

    Raises:
        ConfigurationError: a value is longer than SageMaker takes.
    """
    told = containers.variables_of(request)
    for name, text in told.items():
        if len(text) > _VALUE_LENGTH:
            raise ConfigurationError(
                f"{name} has {len(text)} characters, and SageMaker takes {_VALUE_LENGTH}",
                remedy="Move hyperparameters into a file of the project.",
            )
    return dict(told)


def channel(name: str, uri: str) -> dict[str, Any]:
    """Files below an address in S3, in the folder of that name below `/opt/ml/input/data`."""
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def image_of(policy: SageMakerPolicy) -> str:
    """The image a job runs.

    Raises:
        ConfigurationError: none is set.
    """
    key, image, how = "image", policy.image, "Build one and push it to ECR"
    if policy.script_mode:
        key, image, how = "training_image", policy.training_image, "Find one that AWS publishes"
    if image is None:
        raise ConfigurationError(
            f"'sagemaker.{key}' is not set, and a training job needs an image",
            remedy=f"{how} as docs/sagemaker.md says, and set its name.",
        )
    return image
