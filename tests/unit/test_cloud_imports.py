"""Choosing a cloud loads that cloud's packages and no other's, and says which ones are missing."""

import pytest

from tests.fakes.fresh_python import said

#: What each platform's adapter brings in; shared namespaces such as `google.cloud` are no import.
PACKAGES = {
    "sagemaker": {"boto3", "botocore", "sagemaker"},
    "azureml": {"azure.ai.ml", "azure.core", "azure.identity", "msal"},
    "vertex": {"google.cloud.aiplatform_v1", "google.cloud.storage", "google.auth", "grpc"},
    "local": {"mlflow", "sqlalchemy", "alembic"},
}
#: Packages that would come along and are dear: seconds of import, for nothing the adapter uses.
DEAR = {"mlflow", "google.cloud.aiplatform", "sagemaker", "pandas", "torch"}
_ALL_MODULES = """
import importlib, pkgutil, sys
import ml_pipeline.adapters.{cloud} as adapter
for one in pkgutil.iter_modules(adapter.__path__):
    importlib.import_module(f"{{adapter.__name__}}.{{one.name}}")
print(*sorted(sys.modules))
"""


@pytest.mark.parametrize("cloud", ["sagemaker", "azureml", "vertex"])
def test_choosing_a_cloud_imports_none_of_the_others(cloud):
    loaded = set(said(_ALL_MODULES.format(cloud=cloud)).split())
    assert loaded & PACKAGES[cloud], "nothing of its own was imported, so this shows nothing"
    others = set().union(*(names for key, names in PACKAGES.items() if key != cloud))
    assert sorted(loaded & (others | DEAR)) == []


@pytest.mark.parametrize(
    ("cloud", "missing"),
    [
        ("sagemaker", "boto3"),
        ("azureml", "azure.ai.ml"),
        ("azureml", "azure.identity"),
        ("vertex", "google.cloud.aiplatform_v1"),
        ("vertex", "grpc"),
    ],
)
def test_without_its_packages_a_cloud_says_how_to_get_them(cloud, missing):
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from ml_pipeline.domain.errors import ConfigurationError\n"
        "try:\n"
        f"    import ml_pipeline.adapters.{cloud}.client\n"
        "except ConfigurationError as error:\n"
        "    print(error.remedy)\n"
    )
    assert f"ml-pipeline[{cloud}]" in said(code)
