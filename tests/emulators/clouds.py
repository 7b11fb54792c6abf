"""The three clouds as a person at a command line meets them: settings, credentials, and a look."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tests.emulators import azureml_cases, permissions, sagemaker_driver, vertex_cases
from tests.emulators.project_image import older_code


class OnSageMaker:
    """An account of its own."""

    name = "sagemaker"
    codes: ClassVar = {"permission": 6, "quota": 6}

    def __init__(self, folder: Path, source: Path) -> None:
        self.emulator = sagemaker_driver.emulated().fresh(delay_s=0.2)
        self.environ: Mapping[str, str] = sagemaker_driver.CREDENTIALS
        self.settings: Mapping[str, Any] = {
            "region": "us-east-1",
            "role": "arn:aws:iam::123456789012:role/pipeline",
            "bucket": sagemaker_driver.BUCKET,
            "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop@sha256:" + "0" * 64,
            "metrics_period_s": 1,
            "metrics_delay_s": 1,
            "baking_s": 1,
            "endpoint_url": self.emulator.url,
        }

    def parts(self, model: str) -> Any:
        return sagemaker_driver.parts_on(self.emulator.url, model=model)

    def harm(self, slot: str) -> None:
        """Have every second request to a slot of production fail from its start on."""
        self.emulator.ask("drills", {slot: "errors=0.5"})

    def refuse(self, what: str) -> None:
        """The next training is not allowed, or is more than the quota holds."""
        kind = {"permission": "403", "quota": "quota"}[what]
        self.emulator.faults({"kind": kind, "operation": "CreateTrainingJob", "times": 9})

    def heal(self) -> None:
        """Nothing is refused any more."""
        self.emulator.faults()

    def rights(self) -> tuple[set[str], set[str]]:
        """What callers were asked rights for so far, and what the page lists."""
        calls = self.emulator.told()["calls"]
        return permissions.sagemaker_asked(calls), permissions.sagemaker_listed()

    def jobs(self) -> int:
        """How many were ever made."""
        return len(self.emulator.told()["jobs"])

    def end(self) -> None:
        assert self.emulator.told()["violations"] == []
        self.emulator.fresh()


class OnAzureml:
    """A workspace of its own."""

    name = "azureml"
    codes: ClassVar = {"permission": 6, "quota": 6}

    def __init__(self, folder: Path, source: Path) -> None:
        timing = {"latency_s": 0.05, "period_s": 1.0, "late_s": 0.5}
        self._open = azureml_cases.workspace(folder, source=older_code(folder), **timing)
        self.emulator = self._open.__enter__()
        self.environ = {**self.emulator.environment(), "AZUREML_CURRENT_CLOUD": "AzureCloud"}
        self.settings = self.emulator.settings(metrics_delay_s=1)

    def parts(self, model: str) -> Any:
        return azureml_cases.parts_of(self.emulator, model=model)

    def harm(self, slot: str) -> None:
        production = self.parts("toy").production_host._endpoint.name
        self.emulator.errors[f"{production}/slot-{slot}"] = 0.5

    def refuse(self, what: str) -> None:
        status, code = {"permission": (403, ""), "quota": (400, "QuotaExceeded")}[what]
        self.emulator.fault("PUT .*/jobs/", status, 9, code=code)

    def heal(self) -> None:
        self.emulator.faults.clear()

    def rights(self) -> tuple[set[str], set[str]]:
        return permissions.azureml_asked(self.emulator.calls), permissions.azureml_listed()

    def jobs(self) -> int:
        return len(self.emulator.jobs)

    def end(self) -> None:
        self._open.__exit__(None, None, None)


class OnVertex:
    """A project of its own."""

    name = "vertex"
    #: Vertex AI says of an exhausted quota what it says of a busy hour: try again
    codes: ClassVar = {"permission": 6, "quota": 7}

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        self.emulator = vertex_cases.emulator_in(
            folder, images={"shop:1": older_code(folder)}, latency_s=0.05
        )
        self.environ: Mapping[str, str] = {}
        self.settings = self.emulator.settings()

    def parts(self, model: str) -> Any:
        return vertex_cases.parts_of(self.emulator, self.folder, model=model)

    def harm(self, slot: str) -> None:
        self.emulator.faults.chaos[slot] = "errors=0.5"

    def refuse(self, what: str) -> None:
        code = {"permission": "PERMISSION_DENIED", "quota": "RESOURCE_EXHAUSTED"}[what]
        self.emulator.faults.add("CreateCustomJob", code=code, times=9, retry_after_s=0.01)

    def heal(self) -> None:
        self.emulator.faults.waiting.clear()

    def rights(self) -> tuple[set[str], set[str]]:
        return permissions.vertex_asked(self.emulator.faults.calls), permissions.vertex_listed()

    def jobs(self) -> int:
        return len(self.emulator.jobs.jobs)

    def end(self) -> None:
        self.emulator.stop()


CLOUDS = {one.name: one for one in (OnSageMaker, OnAzureml, OnVertex)}
