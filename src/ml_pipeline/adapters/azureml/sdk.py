"""The vendor's packages, imported here only, once and quietly."""

import logging
import warnings

from ml_pipeline.domain.errors import ConfigurationError, installing

try:
    with warnings.catch_warnings():
        # azure-ai-ml's own schemas use what its marshmallow 3 will lose in 4, and it imports
        # packages that announce their own end: nothing of this is for our user.
        warnings.simplefilter("ignore")
        from azure.ai.ml import Input, MLClient, Output, command
        from azure.ai.ml.entities import (
            AzureBlobDatastore,
            Environment,
            ManagedOnlineDeployment,
            ManagedOnlineEndpoint,
            Model,
        )
        from azure.ai.ml.exceptions import MlException
        from azure.core import MatchConditions, PipelineClient
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
            HttpResponseError,
            ResourceExistsError,
            ResourceModifiedError,
            ResourceNotFoundError,
            ServiceRequestError,
            ServiceResponseError,
        )
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
        from azure.core.pipeline.transport import RequestsTransport
        from azure.core.rest import HttpRequest
        from azure.identity import (
            ClientAssertionCredential,
            CredentialUnavailableError,
            DefaultAzureCredential,
        )
        from azure.monitor.querymetrics import MetricsClient
        from azure.storage.blob import BlobServiceClient, ContainerClient, ExponentialRetry
except ImportError as error:
    raise ConfigurationError(
        f"the platform 'azureml' needs packages that are not installed ({error.name})",
        remedy=installing("azureml"),
    ) from error

# Its activity log sets its own level, so it is cut off from whatever the caller shows.
logging.getLogger("azure.ai.ml._telemetry").propagate = False
for _chatty in ("azure", "azure.ai.ml", "azure.identity", "azure.core", "msal"):
    logging.getLogger(_chatty).setLevel(logging.CRITICAL)

__all__ = [
    "AzureBlobDatastore",
    "AzureError",
    "BearerTokenCredentialPolicy",
    "BlobServiceClient",
    "ClientAssertionCredential",
    "ClientAuthenticationError",
    "ContainerClient",
    "CredentialUnavailableError",
    "DefaultAzureCredential",
    "Environment",
    "ExponentialRetry",
    "HttpRequest",
    "HttpResponseError",
    "Input",
    "MLClient",
    "ManagedOnlineDeployment",
    "ManagedOnlineEndpoint",
    "MatchConditions",
    "MetricsClient",
    "MlException",
    "Model",
    "Output",
    "PipelineClient",
    "RequestsTransport",
    "ResourceExistsError",
    "ResourceModifiedError",
    "ResourceNotFoundError",
    "RetryPolicy",
    "ServiceRequestError",
    "ServiceResponseError",
    "command",
]
