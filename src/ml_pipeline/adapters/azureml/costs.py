"""What a project leaves running in a workspace."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ml_pipeline.adapters.azureml.client import Workspace
from ml_pipeline.adapters.azureml.endpoint import Endpoint
from ml_pipeline.adapters.azureml.host import SINCE
from ml_pipeline.adapters.azureml.training import AzuremlTraining
from ml_pipeline.ports.platform import Standing

if TYPE_CHECKING:
    from ml_pipeline.ports.platform import Costs


class AzuremlCosts:
    """Speaks `ports.platform.Costs`: deployments and jobs; an endpoint alone costs nothing."""

    def __init__(self, project: str, workspace: Workspace, training: AzuremlTraining) -> None:
        self._project = project
        self._workspace = workspace
        self._training = training

    def standing(self) -> Sequence[Standing]:
        return sorted([*self._deployments(), *self._jobs()], key=lambda one: one.since)

    def _deployments(self) -> Iterator[Standing]:
        for role in ("staging", "production"):
            endpoint = Endpoint(self._workspace, self._project, role)
            for one in endpoint.deployments():
                yield Standing(
                    kind="deployment",
                    name=f"{endpoint.name}/{one.name}",
                    since=_since(one),
                    what=f"{one.instance_count} x {one.instance_type}",
                )

    def _jobs(self) -> Iterator[Standing]:
        policy = self._workspace.policy
        on = policy.compute or policy.instance_type
        for job in self._training.running(self._project):
            yield Standing(
                kind="training job",
                name=job.ref.name,
                since=job.started_at,
                what=f"{policy.instance_count} x {on}",
            )


def _since(found: Any) -> datetime:
    return datetime.fromisoformat(found.tags[SINCE]).astimezone(UTC)


if TYPE_CHECKING:
    _speaks: type[Costs] = AzuremlCosts
