"""What a project says about Azure Machine Learning."""

from collections.abc import Iterator

from pydantic import Field

from ml_pipeline.domain.policies.base import NotNegative, Policy, Positive

_BUILD = "build one, push it to a registry, and name it by digest (docs/azureml.md says how)"
_ENDPOINT = r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$"
_REQUIRED = {
    "subscription": "the subscription's id",
    "resource_group": "the workspace's resource group",
    "workspace": "the workspace's name",
}


class AzuremlPolicy(Policy):
    """`[azureml]`: read on the platform `azureml` only.

    Credentials are never set here: they come from Azure's default chain (environment, workload
    identity, managed identity, `az login`).
    """

    #: id of the subscription
    subscription: str | None = Field(default=None, pattern=r"^[0-9a-fA-F-]{36}$")
    #: resource group of the workspace
    resource_group: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._()-]{1,90}$")
    #: workspace that trains, keeps and serves models
    workspace: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,32}$")
    #: datastore (a blob container) for data, models and registered bundles
    datastore: str = Field(default="workspaceblobstore", pattern=r"^[A-Za-z0-9_]{1,255}$")
    #: folder in the datastore that is this project's
    prefix: str = Field(default="ml-pipeline", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    #: training and serving image, best by digest (`…@sha256:…`)
    image: str | None = Field(default=None, min_length=1, max_length=255, pattern=r"^[^ ]+$")
    #: compute cluster that trains; without one, serverless compute does
    compute: str | None = Field(default=None, pattern=r"^[a-zA-Z][A-Za-z0-9-]{1,23}$")
    #: virtual machine of a training on serverless compute
    instance_type: str = Field(default="Standard_DS3_v2", pattern=r"^Standard_[A-Za-z0-9_]+$")
    #: virtual machines of one training
    instance_count: int = Field(default=1, ge=1, le=100)
    #: train serverless at low priority: cheaper, may wait and be restarted
    spot: bool = False
    #: virtual machine of a deployment
    serving_instance_type: str = Field(
        default="Standard_DS3_v2", pattern=r"^Standard_[A-Za-z0-9_]+$"
    )
    #: virtual machines of one deployment
    serving_instance_count: int = Field(default=1, ge=1, le=100)
    #: name of the staging endpoint, unique in the region; without it, one is derived
    staging_endpoint: str | None = Field(default=None, pattern=_ENDPOINT)
    #: name of the production endpoint, unique in the region; without it, one is derived
    production_endpoint: str | None = Field(default=None, pattern=_ENDPOINT)
    #: seconds one point of the endpoints' metrics covers; Azure Monitor's finest is 60
    metrics_period_s: Positive = Field(default=60, le=60)
    #: seconds until the metrics of a minute are complete
    metrics_delay_s: NotNegative = Field(default=180, le=3600)
    #: seconds an endpoint may take to change
    change_limit_s: Positive = 3600
    #: seconds between two looks at a change under way
    change_poll_s: Positive = 5
    #: address of an emulator, instead of Azure
    endpoint_url: str | None = Field(default=None, pattern=r"^https://[^ ]+[^ /]$")

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Key and message for everything the platform cannot do without."""
        for key, meaning in _REQUIRED.items():
            if getattr(self, key) is None:
                yield key, f"must be set on Azure ML: {meaning}"
        if self.image is None:
            yield "image", f"must be set on Azure ML: {_BUILD}"
        if self.spot and self.compute is not None:
            yield "spot", "is for serverless compute: a cluster has its own priority"
