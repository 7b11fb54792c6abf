"""Metrics to the MLflow server an Azure ML job is given, without Azure's own plugin."""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

_LIMIT_S = 30.0
_TRIES = 3


def publish(values: Mapping[str, float], at_ms: int, environ: Mapping[str, str]) -> str:
    """Log metrics to the job's run; a sentence that says what came of it, never an error.

    The pipeline itself reads `metrics.json`: a training is not thrown away because its picture in
    the studio is missing.

    Args:
        values: by name.
        at_ms: when they were measured, in ms since 1970.
        environ: with MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN and MLFLOW_RUN_ID as Azure ML
            sets them.
    """
    address, run = environ.get("MLFLOW_TRACKING_URI", ""), environ.get("MLFLOW_RUN_ID", "")
    if not address or not run:
        return "the studio shows no metrics: the job has no MLflow run"
    parts = urlsplit(address)
    if parts.scheme not in {"azureml", "https"}:
        return f"the studio shows no metrics: {address} is not reached over https"
    rows = [{"key": k, "value": v, "timestamp": at_ms, "step": 0} for k, v in values.items()]
    body = json.dumps({"run_id": run, "metrics": rows})
    path = f"{parts.path.rstrip('/')}/api/2.0/mlflow/runs/log-batch"
    token = environ.get("MLFLOW_TRACKING_TOKEN", "")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    said = ""
    for _ in range(_TRIES):
        said = _post(parts.netloc, path, body, headers)
        if not said:
            return f"{len(values)} metrics are in the MLflow run {run}"
    return f"the studio shows no metrics: {parts.netloc} said {said}"


def _post(host: str, path: str, body: str, headers: Mapping[str, str]) -> str:
    """Empty when it was taken, else what went wrong."""
    connection = http.client.HTTPSConnection(host, timeout=_LIMIT_S)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if answer.status == 200 else f"{answer.status} {answer.reason}"
