"""Script mode: training in an image AWS publishes, through the package `sagemaker`.

Only the request differs from the other way, which takes an image of the project's own: code and
program travel with the job, and `sagemaker.core` makes the call, with the adapter's own clients.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.adapters.sagemaker.files import Bucket, member
from ml_pipeline.adapters.sagemaker.orders import channel
from ml_pipeline.domain.errors import ConfigurationError, installing
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports import containers
from ml_pipeline.ports.training import TrainingRequest

_PROGRAM = Path(__file__).parents[2] / "entry" / "script_mode.py"
#: The package's own way to pip, which also signs in at CodeArtifact.
_INSTALLER = "sagemaker.core.utils.install_requirements"
#: As the package's `ModelTrainer` starts a container: whichever Python the image has first.
_START = (
    "exec $(command -v python3 || command -v python)"
    f" /opt/ml/input/data/{containers.SCRIPT_CHANNEL}/{_PROGRAM.name}"
)
_PYTHONS = ("python", "python3")
_MB = 1_000_000


class ScriptMode:
    """Makes a request for a job into one for script mode, and the job.

    Only making it needs the package: a machine without it can watch, cancel and read a job.
    """

    def __init__(self, clients: Clients, policy: SageMakerPolicy) -> None:
        self._clients = clients
        self._policy = policy
        self._bucket = Bucket(clients, str(policy.bucket))

    def check(self, request: TrainingRequest, archive: Path) -> None:
        """Look at what would be sent, before anything is.

        Raises:
            ConfigurationError: the packed code is too large, or the script or the requirements
                are not in it.
        """
        self._refuse_outsize(request.source, archive.stat().st_size)
        program, *words = request.argv
        script = words[0] if words and program in _PYTHONS else ""
        named = {
            "train.command": script if script.endswith(".py") else "",
            "sagemaker.requirements": self._policy.requirements or "",
        }
        for key, name in named.items():
            if name and member(archive, name) is None:
                raise ConfigurationError(
                    f"'{key}' names {name!r}, and the code sent from {request.source} holds no"
                    " such file",
                    remedy="Correct the name, or put the file there.",
                )

    def _refuse_outsize(self, source: Path, size: int) -> None:
        limit = self._policy.source_limit_mb
        if size > limit * _MB:
            raise ConfigurationError(
                f"{source} packs to {size / _MB:.1f} MB,"
                f" over 'sagemaker.source_limit_mb' = {limit}",
                remedy="Move data out of the project's folder, or raise the limit.",
            )

    def order(self, plain: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The request, with the program that the image does not have.

        Args:
            plain: a CreateTrainingJob request of the other way.
            place: key in the bucket below which the job's things lie.
        """
        program = channel(containers.SCRIPT_CHANNEL, self._bucket.uri(f"{place}/script/"))
        named = self._policy.requirements
        told = {containers.REQUIREMENTS: named} if named else {}
        return {
            **plain,
            "AlgorithmSpecification": {
                **plain["AlgorithmSpecification"],
                "ContainerEntrypoint": ["/bin/bash"],
                "ContainerArguments": ["-c", _START],
            },
            "HyperParameters": {**plain["HyperParameters"], **told},
            "InputDataConfig": [*plain["InputDataConfig"], program],
        }

    def send(self, place: str) -> None:
        """Store the program, and the installer where it has something to install."""
        files = [_PROGRAM]
        if self._policy.requirements:
            files.append(Path(str(import_module(_INSTALLER).__file__)))
        for file in files:
            self._bucket.upload(file, f"{place}/script/{file.name}")

    def create(self, plain: Mapping[str, Any], place: str) -> None:
        """Start the job; errors are those of `Clients.tried`."""
        self.send(place)
        resources = import_module("sagemaker.core.resources")
        codec = import_module("sagemaker.core.utils.code_injection.codec")
        asked = codec.transform(self.order(plain, place), "CreateTrainingJobRequest")
        self._clients.tried(
            "create_training_job",
            lambda: resources.TrainingJob.create(
                session=_OurClients(self._clients), region=self._clients.region, **asked
            ),
        )


class _OurClients(boto3.Session):  # type: ignore[misc]  # the SDK has no types
    """A session that hands out the adapter's clients.

    So address, credentials, time-outs and the count of tries are those of every other call: the
    package's own clients try ten times and know no address but AWS's.
    """

    def __init__(self, clients: Clients) -> None:
        super().__init__(region_name=clients.region)
        self._ours = clients

    def client(self, service_name: str, *_: Any, **__: Any) -> Any:
        return self._ours.client(service_name)


def require_package() -> None:
    """Look whether the package is there; it is not imported, which takes seconds.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        found = find_spec("sagemaker.core")
    except ImportError:
        found = None
    if found is None:
        raise ConfigurationError(
            "'sagemaker.script_mode' needs a package that is not installed: sagemaker.core",
            remedy=installing("sagemaker-script"),
        )
