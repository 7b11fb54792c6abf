"""One endpoint with several variants: described, changed as a whole, and waited for."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ml_pipeline.adapters.sagemaker import names
from ml_pipeline.adapters.sagemaker.alarms import Alarms, guard
from ml_pipeline.adapters.sagemaker.client import AbsentError, Clients, utc
from ml_pipeline.adapters.sagemaker.states import SERVING, changing
from ml_pipeline.domain.errors import PlatformRefusedError, PlatformUnavailableError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.clock import Clock

#: Waits between two looks at an endpoint that changes: first, and longest, in seconds.
_FIRST_S, _LONGEST_S = 0.2, 15.0
#: of a configuration's digest, at the end of its name
_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant as an endpoint has it now; `weight` is as SageMaker keeps it, no per cent."""

    slot: str
    model: str
    weight: float
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An endpoint now."""

    arn: str
    status: str
    config: str
    failure: str
    since: datetime
    variants: Mapping[str, Variant]

    @property
    def serves(self) -> bool:
        """Whether it answers requests."""
        return self.status in SERVING


class Endpoint:
    """One endpoint by its name.

    A variant is a slot. Its weight and its number of instances are named in every change,
    because SageMaker forgets what a change does not name.
    """

    def __init__(self, name: str, clients: Clients, policy: SageMakerPolicy, clock: Clock) -> None:
        self.name = names.short(name)
        self.clients = clients
        self.policy = policy
        self.clock = clock
        self._alarms = Alarms(self.name, clients, policy.alarm_actions)
        self._models: dict[str, Mapping[str, str]] = {}

    def seen(self) -> Seen | None:
        """The endpoint now, None when there is none."""
        try:
            found = self._call("describe_endpoint", EndpointName=self.name)
        except AbsentError:
            return None
        # an endpoint whose creation failed may have no variants of its own
        wanted = self._configured(found.get("EndpointConfigName", ""))
        variants = {
            one["VariantName"]: Variant(
                slot=one["VariantName"],
                model=wanted.get(one["VariantName"], {}).get("ModelName", ""),
                weight=float(one.get("CurrentWeight", 0.0)),
                instances=int(one.get("CurrentInstanceCount", 0)),
            )
            for one in found.get("ProductionVariants", ())
        }
        return Seen(
            arn=found["EndpointArn"],
            status=found["EndpointStatus"],
            config=found.get("EndpointConfigName", ""),
            failure=found.get("FailureReason", ""),
            since=utc(found["CreationTime"]),
            variants=variants,
        )

    def settled(self) -> Seen | None:
        """The endpoint once it has stopped changing; None when there is none.

        Raises:
            PlatformUnavailableError: it still changes after `sagemaker.change_limit_s`.
        """
        begun, pause_s = self.clock.monotonic(), _FIRST_S
        while True:
            found = self.seen()
            if found is None or not changing(found.status):
                return found
            if self.clock.monotonic() - begun > self.policy.change_limit_s:
                raise PlatformUnavailableError(
                    f"endpoint {self.name} is still {found.status} after"
                    f" {self.policy.change_limit_s:g} s",
                    remedy="Look at it in the console; `ml-pipeline abort` puts the champion back.",
                )
            self.clock.pause(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_S)

    def required(self) -> Seen:
        """The endpoint once it has stopped changing.

        Raises:
            PlatformRefusedError: there is none.
        """
        found = self.settled()
        if found is None:
            raise PlatformRefusedError(
                f"there is no endpoint {self.name}", remedy="Deploy a version first."
            )
        return found

    def apply(self, variants: Sequence[Variant], found: Seen | None) -> None:
        """Give the endpoint these variants and no others; waits for nothing but a removal."""
        dead = found is not None and found.status in {"Failed", "OutOfService"}
        if dead:
            # what does not serve has no instances to count: it starts with those of the settings
            instances = self.policy.serving_instance_count
            variants = [replace(one, instances=one.instances or instances) for one in variants]
        config = self._config(variants)
        if dead:
            # nothing but its removal is allowed in these states
            self._remove(keep=config)
            found = None
        else:
            self._sweep(keep=config, found=found)
        slots = [one.slot for one in variants]
        alarms = self._alarms.put(slots)
        if found is None:
            self._call(
                "create_endpoint", EndpointName=self.name, EndpointConfigName=config,
                Tags=names.tag_list({names.PROJECT: self.name.rpartition("-")[0]}),
            )  # fmt: skip
            return
        # SageMaker guards no change of an endpoint's variants, only one of what is in them
        guarded = bool(self.policy.baking_s) and set(slots) == set(found.variants)
        self._call(
            "update_endpoint", EndpointName=self.name, EndpointConfigName=config,
            RetainAllVariantProperties=False,
            **({"DeploymentConfig": guard(alarms, self.policy)} if guarded else {}),
        )  # fmt: skip

    def delete(self) -> None:
        """Take the endpoint away with everything that belongs to it, and see that it is gone."""
        self._remove(keep="")

    def _remove(self, *, keep: str) -> None:
        """Take it away, but for a configuration that is still to be used, and its models."""
        self._call("delete_endpoint", EndpointName=self.name)
        self.settled()
        self._sweep(keep=keep, found=None)
        self._alarms.remove_all()

    def weigh(self, weights: Mapping[str, int], found: Seen) -> None:
        """Set every variant's weight, with its number of instances."""
        self._call(
            "update_endpoint_weights_and_capacities",
            EndpointName=self.name,
            DesiredWeightsAndCapacities=[
                {
                    "VariantName": one.slot,
                    "DesiredWeight": float(weights.get(one.slot, 0)),
                    "DesiredInstanceCount": one.instances,
                }
                for one in found.variants.values()
            ],
        )

    def tags(self, found: Seen) -> dict[str, str]:
        """The pipeline's own tags of the endpoint."""
        return names.tags_of(
            self.clients.pages("sagemaker", "list_tags", "Tags", ResourceArn=found.arn)
        )

    def tag(self, found: Seen, tags: Mapping[str, str]) -> None:
        """Set tags."""
        self._call("add_tags", ResourceArn=found.arn, Tags=names.tag_list(tags))

    def untag(self, found: Seen, keys: Sequence[str]) -> None:
        """Remove tags."""
        self._call("delete_tags", ResourceArn=found.arn, TagKeys=list(keys))

    def facts(self, model: str) -> Mapping[str, str]:
        """What a SageMaker model was made from, by the tags it was made with."""
        if model not in self._models:
            found = self._call("describe_model", ModelName=model)
            tags = self.clients.pages(
                "sagemaker", "list_tags", "Tags", ResourceArn=found["ModelArn"]
            )
            since = utc(found["CreationTime"]).isoformat()
            self._models[model] = {**names.tags_of(tags), "since": since}
        return self._models[model]

    def _config(self, variants: Sequence[Variant]) -> str:
        wanted = [
            {
                "VariantName": one.slot,
                "ModelName": one.model,
                "InitialInstanceCount": one.instances,
                "InstanceType": self.policy.serving_instance_type,
                "InitialVariantWeight": one.weight,
            }
            for one in variants
        ]
        digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:_DIGITS]
        name = f"{self._stem}{digest}"
        if not self._configured(name):
            self._call("create_endpoint_config", EndpointConfigName=name, ProductionVariants=wanted)
        return name

    @property
    def _stem(self) -> str:
        """What the names of all its configurations begin with, before their digits."""
        return f"{names.short(self.name, 50)}-"

    def _configured(self, config: str) -> Mapping[str, Any]:
        """Variants of a configuration by slot; empty when it is gone."""
        if not config:
            return {}
        try:
            found = self._call("describe_endpoint_config", EndpointConfigName=config)
        except AbsentError:
            return {}
        return {one["VariantName"]: one for one in found["ProductionVariants"]}

    def _sweep(self, *, keep: str, found: Seen | None) -> None:
        """Remove configurations and models nothing uses any more."""
        stays = {keep, found.config if found else ""}
        listed = self.clients.pages(
            "sagemaker", "list_endpoint_configs", "EndpointConfigs", NameContains=self._stem
        )
        # Other endpoints' names may hold this one's: shop-production, and my-shop-production.
        ours = re.compile(rf"{re.escape(self._stem)}[0-9a-f]{{{_DIGITS}}}")
        names_listed = (one["EndpointConfigName"] for one in listed)
        known = {name for name in names_listed if ours.fullmatch(name)}
        used = {
            one["ModelName"]
            for config in sorted(stays)
            for one in self._configured(config).values()
        }
        for config in sorted(known - stays):
            for one in self._configured(config).values():
                if one["ModelName"] not in used:
                    used.add(one["ModelName"])
                    self._delete_model(one["ModelName"])
            self._call("delete_endpoint_config", EndpointConfigName=config)

    def _delete_model(self, name: str) -> None:
        self._models.pop(name, None)
        try:
            self._call("delete_model", ModelName=name)
        except AbsentError:
            return

    def _call(self, operation: str, **asked: Any) -> Any:
        return self.clients.call("sagemaker", operation, **asked)
