"""What every run of the command line imports, for the process that runs are forked from.

Only modules are imported, nothing is called: a run begins as it would in a process of its own.
"""

import os
import warnings
from importlib import import_module

# As the registry tells MLflow, which reads it when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # noqa: TID251 - this process's own
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # noqa: TID251

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in (
        "mlflow",
        "mlflow.store.model_registry.sqlalchemy_workspace_store",
        "mlflow.store.tracking.sqlalchemy_workspace_store",
        "sqlalchemy.dialects.sqlite",
        "onnxruntime",
        "polars",
        "typer",
        "ml_pipeline.adapters.local.host",
        "ml_pipeline.adapters.local.parts",
        "ml_pipeline.adapters.local.runner",
        "ml_pipeline.adapters.local.trained",
        "ml_pipeline.cli.app",
        "ml_pipeline.cli.ending",
        "ml_pipeline.cli.running",
        "ml_pipeline.conductor",
        "ml_pipeline.reporting.writer",
    ):
        import_module(name)
