"""What the emulated account holds, faults that were asked for, and errors as AWS words them."""

import json
import os
import threading
import time
from dataclasses import dataclass, field

ACCOUNT, REGION = "123456789012", "us-east-1"


class AwsError(Exception):
    def __init__(self, code: str, message: str, status: int = 400, **headers: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.headers = code, message, status, headers


def absent(what: str) -> AwsError:
    return AwsError("ValidationException", f"Could not find {what}.")


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


@dataclass
class Account:
    """Everything in it, by name."""

    delay_s: float
    publish_s: float
    root: str
    server: str
    project_env: str
    source: str
    framework_env: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    jobs: dict = field(default_factory=dict)
    groups: dict = field(default_factory=dict)
    packages: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)
    configs: dict = field(default_factory=dict)
    endpoints: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    served: list = field(default_factory=list)
    calls: dict = field(default_factory=dict)
    violations: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    drills: dict = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float | None = None) -> None:
        """A change of state takes its time."""
        self.stopping.wait(self.delay_s if seconds is None else seconds)

    def fault(self, kind: str, operation: str = "") -> dict | None:
        """The next fault of a kind, used up once its `times` are."""
        with self.lock:
            for one in self.faults:
                if one["kind"] == kind and one.get("operation", "") in {"", operation}:
                    one["times"] = one.get("times", 1) - 1
                    if one["times"] <= 0:
                        self.faults.remove(one)
                    return one
        return None


def arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def now() -> float:
    return round(time.time(), 3)


def child_environment(**more: str) -> dict[str, str]:
    """What a container sees: nothing of the host but what Python needs."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    return {**kept, **more}


def log(group: str, stream: str, text: str) -> None:
    """Lines into CloudWatch Logs."""
    from moto.logs.models import logs_backends

    logs = logs_backends[ACCOUNT][REGION]
    logs.ensure_log_group(group)
    logs.ensure_log_stream(group, stream)
    at = int(time.time() * 1000)
    lines = [{"timestamp": at, "message": line} for line in text.splitlines()[-200:] if line]
    if lines:
        logs.put_log_events(group, stream, lines)


def objects(uri: str) -> dict[str, bytes]:
    """What lies below an address in S3, by the rest of its key."""
    from moto.s3.models import s3_backends

    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    held = s3_backends[ACCOUNT]["aws"].buckets
    if bucket not in held:
        return {}
    keys = [key for key in held[bucket].keys if key.startswith(prefix)]
    store = s3_backends[ACCOUNT]["aws"]
    return {
        key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]: store.get_object(
            bucket, key
        ).value
        for key in keys
    }


def put_object(uri: str, content: bytes) -> None:
    from moto.s3.models import s3_backends

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3_backends[ACCOUNT]["aws"].put_object(bucket, key, content)


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()
