"""Deployments as variants of one endpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from ml_pipeline.adapters.sagemaker import lease, names
from ml_pipeline.adapters.sagemaker.client import AbsentError
from ml_pipeline.adapters.sagemaker.endpoint import Endpoint, Seen, Variant
from ml_pipeline.adapters.sagemaker.files import Bucket, tree_digest
from ml_pipeline.adapters.sagemaker.logs import last_lines
from ml_pipeline.adapters.sagemaker.proxy import SigningProxy
from ml_pipeline.adapters.sagemaker.states import changing
from ml_pipeline.domain.chaos import parse_chaos
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.ports import containers
from ml_pipeline.ports.packing import packed
from ml_pipeline.ports.registry import ModelVersion
from ml_pipeline.ports.serving import Deployment, Target, numbers_in, question

#: How long one answer may take, in seconds. Source: SageMaker ends an invocation after 60 s.
_ANSWER_S = 60.0
_LOG = "the slot's log in CloudWatch"


class SageMakerHost:
    """Speaks `ports.serving.ModelHost`.

    The first deployment on an endpoint gets all its traffic: SageMaker has no endpoint without.

    Args:
        endpoint: where deployments live.
        proxy: signs requests, so that anything that speaks plain HTTP can send them.
        guarded: whether a slot with traffic may not be replaced or removed (production).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        proxy: SigningProxy,
        *,
        guarded: bool,
        trusted_types: Sequence[str] = (),
    ) -> None:
        self._endpoint = endpoint
        self._proxy = proxy
        self._guarded = guarded
        self._trusted_types = tuple(trusted_types)
        #: models this process deployed and has not seen in service yet, by slot
        self._awaited: dict[str, str] = {}

    def deploy(self, slot: str, version: ModelVersion, package: Path, *, chaos: str = "") -> None:
        if parse_chaos(chaos) != parse_chaos(""):
            raise PlatformRefusedError(
                "SageMaker has no drills in production",
                remedy="Leave out --chaos, or rehearse on the platform local.",
            )
        digest = tree_digest(package)
        found = self._endpoint.settled()
        model = self._model_name(slot, version, digest)
        there = found.variants.get(slot) if found and found.serves else None
        if there is not None and there.model == model:
            return
        if found and there and self._guarded:
            self._refuse_traffic(slot, found, "replaced")
        self._make_model(slot, version, package, digest)
        others = [one for one in _standing(found) if one.slot != slot]
        instances = self._endpoint.policy.serving_instance_count
        weight = 0.0 if any(one.weight for one in others) else 100.0
        mine = Variant(slot=slot, model=model, weight=weight, instances=instances)
        self._endpoint.apply([*others, mine], found)
        self._awaited[slot] = model
        self._proxy.forget(self._endpoint.name)

    def health(self, slot: str) -> bool:
        found = self._endpoint.seen()
        if found is None or not found.serves or slot not in found.variants:
            return False
        if slot in self._awaited:
            # an endpoint that changes still serves what was in the slot before
            if changing(found.status) or found.variants[slot].model != self._awaited[slot]:
                return False
            del self._awaited[slot]
        return found.variants[slot].instances > 0

    def failure(self, slot: str) -> str:
        found = self._endpoint.seen()
        if self.health(slot):
            return ""
        if found is None:
            return f"there is no slot {slot}: there is no endpoint {self._endpoint.name}"
        group = f"/aws/sagemaker/Endpoints/{self._endpoint.name}"
        lines = last_lines(self._endpoint.clients, group, f"{slot}/")
        told = f"slot {slot}: endpoint {self._endpoint.name} is {found.status}"
        return "\n".join([f"{told}: {found.failure or 'no reason given'}", *lines])

    def predict(
        self, slot: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> Sequence[float]:
        if not self.health(slot):
            raise PlatformUnavailableError(
                f"slot {slot} does not answer: {self.failure(slot)}",
                remedy="Wait until it is healthy, or mend what keeps it from starting.",
            )
        url = self.target(slot).url
        try:
            # our own door on this machine: what the environment says of proxies is not meant
            with httpx.Client(trust_env=False, timeout=_ANSWER_S) as client:
                answer = client.post(url, json=question(columns, rows))
        except httpx.HTTPError as exc:
            raise PlatformUnavailableError(
                f"slot {slot} gave no predictions: {exc!r}", remedy=f"Read {_LOG}."
            ) from exc
        return numbers_in(slot, answer.status_code, answer.content, log=_LOG)

    def target(self, slot: str) -> Target:
        found = self._endpoint.seen()
        if found is None or slot not in found.variants:
            raise PlatformRefusedError(
                f"there is no slot {slot} on {self._endpoint.name}", remedy="Deploy it first."
            )
        return self._target(slot)

    def remove(self, slot: str) -> None:
        found = self._endpoint.settled()
        self._awaited.pop(slot, None)
        if found is None:
            return
        if not found.variants:
            self._endpoint.delete()  # its creation failed: nothing of it can be kept
            return
        if slot not in found.variants:
            return
        if self._guarded:
            self._refuse_traffic(slot, found, "removed")
        left = [one for one in _standing(found) if one.slot != slot]
        if not left:
            self._endpoint.delete()
        else:
            if not any(one.weight for one in left):
                left[0] = replace(left[0], weight=100.0)
            self._endpoint.apply(left, found)
        self._proxy.forget(self._endpoint.name)

    def list(self) -> Sequence[Deployment]:
        found = self._endpoint.seen()
        return [] if found is None else [self._deployment(one, found) for one in _standing(found)]

    def _deployment(self, one: Variant, found: Seen) -> Deployment:
        facts: Mapping[str, str] = self._endpoint.facts(one.model) if one.model else {}
        return Deployment(
            slot=one.slot,
            model=facts.get(names.MODEL, ""),
            version=facts.get(names.VERSION, ""),
            healthy=found.serves and one.instances > 0,
            target=self._target(one.slot),
            since=datetime.fromisoformat(facts["since"]) if facts else found.since,
        )

    def _target(self, slot: str) -> Target:
        return Target(url=self._proxy.url(self._endpoint, slot))

    def _refuse_traffic(self, slot: str, found: Seen, what: str) -> None:
        held = lease.read(self._endpoint, found)
        if found.variants[slot].weight > 0:
            raise PlatformRefusedError(
                f"slot {slot} gets traffic, so it is not {what}",
                remedy="Give its traffic to another slot first.",
            )
        if held is not None and held.fallback.get(slot):
            raise PlatformRefusedError(
                f"run {held.run_id} would give traffic back to slot {slot}, so it is not {what}",
                remedy=f"End that run first: ml-pipeline abort {held.run_id}.",
            )

    def _model_name(self, slot: str, version: ModelVersion, digest: str) -> str:
        policy = self._endpoint.policy
        content = (version.model, version.version, digest, str(policy.image), *self._trusted_types)
        stem = names.short(f"{self._endpoint.name}-{slot}", 50)
        return f"{stem}-{names.digest_of_text(*content)[:12]}"

    def _make_model(self, slot: str, version: ModelVersion, package: Path, digest: str) -> str:
        """Make the model a slot serves unless it is there; its name."""
        clients, policy = self._endpoint.clients, self._endpoint.policy
        name = self._model_name(slot, version, digest)
        try:
            clients.call("sagemaker", "describe_model", ModelName=name)
        except AbsentError:
            pass
        else:
            return name
        bucket = Bucket(clients, str(policy.bucket))
        key = f"{policy.prefix.strip('/')}/serving/{digest}/model.tar.gz"
        if not bucket.holds(key):
            with packed(package) as archive:
                bucket.upload(archive, key)
        environment = {containers.SLOT: slot, containers.VERSION: version.version}
        if self._trusted_types:
            environment[containers.TRUSTED_TYPES] = json.dumps(self._trusted_types)
        container = {
            "Image": str(policy.image),
            "ModelDataUrl": bucket.uri(key),
            "Environment": environment,
        }
        tags = {
            names.MODEL: version.model,
            names.VERSION: version.version,
            names.RUN: version.run_id,
        }
        clients.call(
            "sagemaker", "create_model", ModelName=name, ExecutionRoleArn=str(policy.role),
            PrimaryContainer=container, Tags=names.tag_list(tags),
        )  # fmt: skip
        return name


def _standing(found: Seen | None) -> list[Variant]:
    """Variants that can be carried over into the next configuration."""
    return [one for one in found.variants.values() if one.model] if found else []


if TYPE_CHECKING:  # mypy compares it with the port
    from ml_pipeline.ports.serving import ModelHost

    _speaks: type[ModelHost] = SageMakerHost
