"""What a cloud asks its caller's rights for: as its page lists it, and as its emulator saw it."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_SERVICES = {
    "GetMetricData": "cloudwatch",
    "PutMetricAlarm": "cloudwatch",
    "DescribeAlarms": "cloudwatch",
    "DeleteAlarms": "cloudwatch",
    "DescribeLogStreams": "logs",
    "GetLogEvents": "logs",
}
# a bucket is listed by GET too, and the emulator's reset makes it by PUT
_OBJECTS = {"S3:HEAD": "s3:GetObject", "S3:GET": "s3:GetObject", "S3:PUT": "s3:PutObject"}
_WORKSPACE = "/providers/Microsoft.MachineLearningServices/workspaces/"
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
#: Given by a role on the bucket or by the endpoint's key, not by the table.
_ELSEWHERE = re.compile(r"^(storage\..*|token)$|^/(identity|endpoint|ops|ci|tenant)/")


def sagemaker_listed() -> set[str]:
    """The actions the page's policy allows."""
    text = (DOCS / "sagemaker.md").read_text(encoding="utf-8")
    (policy,) = re.findall(r"<!-- policy -->\n```json\n(.*?)```", text, re.DOTALL)
    return {action for one in json.loads(policy)["Statement"] for action in one["Action"]}


def sagemaker_asked(calls: Iterable[str]) -> set[str]:
    """The actions AWS asks a policy for, by calls as the emulator counts them."""
    return {_OBJECTS.get(one) or f"{_SERVICES.get(one, 'sagemaker')}:{one}" for one in calls}


def vertex_listed() -> set[str]:
    """The methods the page's table names a permission for."""
    return {one for row in _table("vertex.md") for one in row[1].split(", ")}


def vertex_asked(calls: Iterable[str]) -> set[str]:
    """The methods that were called."""
    return {one for one in calls if not _ELSEWHERE.match(one)}


def azureml_listed() -> set[str]:
    """The actions the page's table lists."""
    return {row[0].strip("`") for row in _table("azureml.md")}


def azureml_asked(calls: Iterable[tuple[str, str]]) -> set[str]:
    """The actions Azure asks a role for: the type of the resource, and the verb."""
    return {_azure_action(*one) for one in calls if not _ELSEWHERE.match(one[1])}


def _azure_action(method: str, path: str) -> str:
    if path.startswith("/account/"):
        return f"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{_VERBS[method]}"
    if path.endswith("/metrics:getBatch"):
        return "Microsoft.Insights/metrics/read"
    if "/mlflow/" in path:
        return "Microsoft.MachineLearningServices/workspaces/experiments/runs/read"
    parts = path.split(_WORKSPACE)[1].split("/")[1:]
    verb = _VERBS.get(method)
    if verb is None:
        *parts, verb = parts
        verb = f"{verb}/action"
    return "/".join(["Microsoft.MachineLearningServices/workspaces", *parts[::2], verb])


def _table(page: str) -> Iterator[list[str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    table = text.split("<!-- permissions -->")[1].split("<!-- end -->")[0]
    for line in table.strip().splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]
