"""Models, configurations and endpoints; an endpoint's variants are real model servers."""

import io
import json
import random
import subprocess
import sys
import tarfile
import threading
import time
import uuid
from pathlib import Path

import httpx
from moto.cloudwatch.models import cloudwatch_backends
from sagemaker_state import (
    ACCOUNT,
    REGION,
    AwsError,
    absent,
    arn,
    child_environment,
    invalid,
    log,
    now,
    objects,
)

_UP_S = 120
_CHANGING = {"Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating"}


class Endpoints:
    """The operations on what serves."""

    def __init__(self, account) -> None:
        self.account = account

    def create_model(self, asked):
        name = asked["ModelName"]
        with self.account.lock:
            if name in self.account.models:
                raise invalid(f"Cannot create already existing model {name}.")
            container = asked.get("PrimaryContainer") or asked["Containers"][0]
            found = {
                **{key: value for key, value in asked.items() if key != "Tags"},
                "PrimaryContainer": container,
                "ModelArn": arn("model", name),
                "CreationTime": now(),
            }
            if not objects(container["ModelDataUrl"]):
                raise invalid(f"Could not access model data at {container['ModelDataUrl']}.")
            self.account.models[name] = found
            self.account.tags[found["ModelArn"]] = list(asked.get("Tags", []))
        return {"ModelArn": found["ModelArn"]}

    def describe_model(self, asked):
        return dict(self._get("models", "model", asked["ModelName"]))

    def delete_model(self, asked):
        self._get("models", "model", asked["ModelName"])
        del self.account.models[asked["ModelName"]]
        return {}

    def create_endpoint_config(self, asked):
        name = asked["EndpointConfigName"]
        with self.account.lock:
            if name in self.account.configs:
                raise invalid(f"Cannot create already existing endpoint configuration {name}.")
            for one in asked["ProductionVariants"]:
                self._get("models", "model", one["ModelName"])
            if not sum(one["InitialVariantWeight"] for one in asked["ProductionVariants"]):
                raise invalid("The weights of all variants cannot be 0.")
            self.account.configs[name] = {
                "EndpointConfigName": name,
                "EndpointConfigArn": arn("endpoint-config", name),
                "ProductionVariants": asked["ProductionVariants"],
                "CreationTime": now(),
            }
        return {"EndpointConfigArn": arn("endpoint-config", name)}

    def describe_endpoint_config(self, asked):
        return dict(self._get("configs", "endpoint configuration", asked["EndpointConfigName"]))

    def list_endpoint_configs(self, asked):
        kept = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        with self.account.lock:
            found = [
                {key: one[key] for key in kept}
                for one in self.account.configs.values()
                if asked.get("NameContains", "") in one["EndpointConfigName"]
            ]
        return {"EndpointConfigs": found}

    def delete_endpoint_config(self, asked):
        name = asked["EndpointConfigName"]
        self._get("configs", "endpoint configuration", name)
        used = [one for one in self.account.endpoints.values() if one.config == name]
        if used:
            raise invalid(f"Cannot delete {name}: endpoint {used[0].name} uses it.")
        del self.account.configs[name]
        return {}

    def create_endpoint(self, asked):
        name = asked["EndpointName"]
        with self.account.lock:
            if name in self.account.endpoints:
                raise invalid(f"Cannot create already existing endpoint {name}.")
            self._get("configs", "endpoint configuration", asked["EndpointConfigName"])
            made = Endpoint(self.account, name, asked["EndpointConfigName"])
            self.account.endpoints[name] = made
            self.account.tags[made.arn] = list(asked.get("Tags", []))
        made.change(made.config, creating=True)
        return {"EndpointArn": made.arn}

    def update_endpoint(self, asked):
        one = self._endpoint(asked["EndpointName"])
        config = asked["EndpointConfigName"]
        with self.account.lock:
            self._get("configs", "endpoint configuration", config)
            one.refuse_unless_in_service("update")
            if config == one.config:
                raise invalid(f"Endpoint {one.name} uses the configuration {config} already.")
            guard = asked.get("DeploymentConfig", {})
            self._refuse_unguardable(one, config, guard)
            one.status, one.guard = "Updating", guard
        one.change(config, creating=False)
        return {"EndpointArn": one.arn}

    def _refuse_unguardable(self, one, config, guard):
        if not guard:
            return
        wanted = {
            each["VariantName"] for each in self.account.configs[config]["ProductionVariants"]
        }
        if wanted != set(one.variants):
            raise invalid("Deployment guardrails need the variant names of the old configuration.")
        policy = guard["BlueGreenUpdatePolicy"]
        waits_s = policy["TerminationWaitInSeconds"]
        if policy["MaximumExecutionTimeoutInSeconds"] <= waits_s:
            raise invalid("MaximumExecutionTimeoutInSeconds must be larger than all waiting times.")
        asked = {each["AlarmName"] for each in guard["AutoRollbackConfiguration"]["Alarms"]}
        unknown = asked - {each.name for each in alarms()}
        if unknown:
            raise invalid(f"Could not find alarms {sorted(unknown)}.")

    def update_endpoint_weights_and_capacities(self, asked):
        one = self._endpoint(asked["EndpointName"])
        with self.account.lock:
            one.refuse_unless_in_service("update")
            for wanted in asked["DesiredWeightsAndCapacities"]:
                if wanted["VariantName"] not in one.variants:
                    raise invalid(f"Variant {wanted['VariantName']} does not exist on {one.name}.")
            one.status = "Updating"
        one.weigh(asked["DesiredWeightsAndCapacities"])
        return {"EndpointArn": one.arn}

    def describe_endpoint(self, asked):
        return self._endpoint(asked["EndpointName"]).told()

    def delete_endpoint(self, asked):
        one = self._endpoint(asked["EndpointName"])
        with self.account.lock:
            if one.status in _CHANGING:
                raise invalid(f"Cannot delete endpoint {one.name} in status {one.status}.")
            one.status = "Deleting"
        threading.Thread(target=one.vanish, daemon=True).start()
        return {}

    def list_endpoints(self, asked):
        with self.account.lock:
            found = [one.told() for one in self.account.endpoints.values()]
        kept = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime")
        return {
            "Endpoints": [
                {**{key: one[key] for key in kept}, "EndpointStatus": one["EndpointStatus"]}
                for one in found
                if asked.get("NameContains", "") in one["EndpointName"]
            ]
        }

    def invoke(self, name, target, body, content_type):
        """Status, headers and body of an invocation."""
        one = self.account.endpoints.get(name)
        if one is None or not one.variants:
            raise AwsError("ValidationError", f"Endpoint {name} of account not found.")
        variant = one.pick(target)
        begun, at = time.perf_counter(), time.time()
        status, content = variant.ask(body, content_type)
        latency_us = (time.perf_counter() - begun) * 1e6
        with self.account.lock:
            self.account.served.append((name, variant.name, at, status, latency_us))
        headers = {"x-Amzn-Invoked-Production-Variant": variant.name}
        if status == 200:
            return 200, {**headers, "Content-Type": "application/json"}, content
        said = content.decode(errors="replace")
        error = {
            "Message": f"Received server error ({status}) from primary with message {said!r}",
            "OriginalStatusCode": status,
            "OriginalMessage": said,
        }
        headers |= {"x-amzn-ErrorType": "ModelError", "Content-Type": "application/json"}
        return 424, headers, json.dumps(error).encode()

    def _endpoint(self, name):
        try:
            return self.account.endpoints[name]
        except KeyError:
            raise absent(f'endpoint "{arn("endpoint", name)}"') from None

    def _get(self, kind, what, name):
        try:
            return getattr(self.account, kind)[name]
        except KeyError:
            raise absent(f"{what} {name}") from None


def alarms():
    """CloudWatch's."""
    return list(cloudwatch_backends[ACCOUNT][REGION].alarms.values())


class Endpoint:
    """One endpoint and what runs on it."""

    def __init__(self, account, name, config) -> None:
        self.account, self.name, self.config = account, name, config
        self.arn = arn("endpoint", name)
        self.status, self.failure = "Creating", ""
        self.since = self.modified = now()
        self.variants: dict[str, Variant] = {}
        self.guard = {}

    def told(self):
        with self.account.lock:
            answer = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.config,
                "EndpointStatus": self.status,
                "CreationTime": self.since,
                "LastModifiedTime": self.modified,
            }
            if self.failure:
                answer["FailureReason"] = self.failure
            if self.variants:
                answer["ProductionVariants"] = [one.told() for one in self.variants.values()]
            return answer

    def refuse_unless_in_service(self, what):
        if self.status != "InService":
            raise invalid(f"Cannot {what} in-progress endpoint {self.name}: {self.status}.")

    def pick(self, target):
        with self.account.lock:
            if target:
                if target not in self.variants:
                    raise AwsError("ValidationError", f"Variant {target} not found.")
                return self.variants[target]
            found = list(self.variants.values())
            return random.choices(found, [one.weight for one in found])[0]

    def change(self, config, *, creating):
        threading.Thread(target=self._change, args=(config, creating), daemon=True).start()

    def _change(self, config, creating):
        self.account.wait()
        wanted = self.account.configs[config]["ProductionVariants"]
        fleet, why = {}, ""
        for one in wanted:
            before = self.variants.get(one["VariantName"])
            if before and before.model == one["ModelName"]:
                fleet[before.name] = before
                continue
            made = Variant(self.account, self.name, one)
            fleet[made.name] = made
            why = why or made.start()
        if self.account.fault("endpoint-failed"):
            why = why or "Request to service failed. Unable to provision capacity."
        if why:
            self._failed(fleet, why, creating=creating)
        else:
            self._replaced(fleet, config, wanted)

    def _failed(self, fleet, why, *, creating):
        for one in fleet.values():
            if one not in self.variants.values():
                one.end()
        with self.account.lock:
            self.failure, self.modified = why, now()
            self.status = "Failed" if creating else "RollingBack"
        if not creating:
            self.account.wait()
            with self.account.lock:
                self.status = "InService"

    def _replaced(self, fleet, config, wanted):
        """The new fleet takes the traffic; the old one stays until the guard's time is over."""
        before = self.variants
        properties = {name: (one.weight, one.instances) for name, one in before.items()}
        with self.account.lock:
            for one in wanted:
                kept = fleet[one["VariantName"]]
                kept.weight = float(one["InitialVariantWeight"])
                kept.instances = one["InitialInstanceCount"]
            self.variants = fleet
        rang, self.guard = self._watched(), {}
        if rang:
            with self.account.lock:
                for name, one in before.items():
                    one.weight, one.instances = properties[name]
                self.variants = before
            self._failed(fleet, f"Rolled back: alarm {rang} is in ALARM.", creating=False)
            return
        with self.account.lock:
            self.config = config
            self.status, self.failure, self.modified = "InService", "", now()
        for one in before.values():
            if one not in fleet.values():
                one.end()

    def _watched(self):
        """The alarm that rang while the old fleet was kept, if one did."""
        policy = self.guard.get("BlueGreenUpdatePolicy", {})
        until = time.monotonic() + policy.get("TerminationWaitInSeconds", 0)
        listed = self.guard.get("AutoRollbackConfiguration", {}).get("Alarms", ())
        watched = {one["AlarmName"] for one in listed}
        while time.monotonic() < until:
            for one in alarms():
                if one.name in watched and one.state_value == "ALARM":
                    return one.name
            self.account.wait(0.05)
        return ""

    def weigh(self, wanted):
        def later():
            self.account.wait()
            lost = self.account.fault("weights-lost")
            with self.account.lock:
                for one in () if lost else wanted:
                    variant = self.variants[one["VariantName"]]
                    variant.weight = float(one.get("DesiredWeight", variant.weight))
                    # as on the real service: a count that is not named is not kept
                    variant.instances = one.get("DesiredInstanceCount", 0)
                self.status, self.modified = "InService", now()

        threading.Thread(target=later, daemon=True).start()

    def stop(self):
        """Out of service, as when no instance of it can be had any more."""
        self.status = "OutOfService"
        for one in self.variants.values():
            one.instances = 0

    def vanish(self):
        self.account.wait()
        for one in self.variants.values():
            one.end()
        with self.account.lock:
            self.account.endpoints.pop(self.name, None)
            self.account.tags.pop(self.arn, None)


class Variant:
    """One model server."""

    def __init__(self, account, endpoint, wanted) -> None:
        self.account, self.endpoint = account, endpoint
        self.name, self.model = wanted["VariantName"], wanted["ModelName"]
        self.weight = float(wanted["InitialVariantWeight"])
        self.instances = wanted["InitialInstanceCount"]
        self.process = None
        self.folder = Path(account.root) / "endpoints" / uuid.uuid4().hex
        self.client = httpx.Client(trust_env=False, timeout=60)

    def told(self):
        return {
            "VariantName": self.name,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.instances,
            "DesiredInstanceCount": self.instances,
        }

    def start(self) -> str:
        """Empty once it answers, else why it does not."""
        container = self.account.models[self.model]["PrimaryContainer"]
        (content,) = objects(container["ModelDataUrl"]).values()
        model = self.folder / "model"
        model.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            # Python 3.11 has the filter from its fourth patch on.
            tar.extractall(model, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        ready, text = self.folder / "ready.json", self.folder / "log.txt"
        with text.open("wb") as file:
            self.process = subprocess.Popen(
                self._argv(container, ready),
                env=child_environment(
                    SAGEMAKER_BIND_TO_PORT="8080",
                    ML_PIPELINE_ROOT=str(self.folder),
                    **container.get("Environment", {}),
                ),
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _UP_S
        while not ready.exists() and self.process.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        said = text.read_text(errors="replace")
        log(f"/aws/sagemaker/Endpoints/{self.endpoint}", f"{self.name}/i-1", said or "started")
        if not ready.exists():
            return (
                f"The primary container for production variant {self.name} did not pass the ping"
                " health check. Please check CloudWatch logs for this endpoint."
            )
        port = json.loads(ready.read_text())["port"]
        self.url = f"http://127.0.0.1:{port}"
        return ""

    def _argv(self, container, ready):
        drill = self.account.drills.get(self.name, "")
        shared = ["--port", "0", "--ready-file", str(ready), "--chaos", drill]
        if self.account.server:
            told = container["Environment"]
            slot, version = told["ML_PIPELINE_SLOT"], told["ML_PIPELINE_VERSION"]
            package = ["--package", str(self.folder / "model")]
            names = ["--slot", slot, "--version", version]
            return [sys.executable, self.account.server, *package, *names, *shared]
        more = ["--host", "127.0.0.1", "--exit-with-parent"]
        return [sys.executable, "-m", "ml_pipeline.entry", "serve", *shared, *more]

    def ask(self, body, content_type):
        try:
            answer = self.client.post(
                f"{self.url}/invocations", content=body, headers={"Content-Type": content_type}
            )
        except httpx.HTTPError as error:
            return 500, repr(error).encode()
        return answer.status_code, answer.content

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process is not None and self.process.stdin:
            self.process.stdin.close()
        self.client.close()
