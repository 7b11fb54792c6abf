"""Model packages, and the tags of everything."""

from sagemaker_state import AwsError, absent, arn, invalid, now

_KEPT = (
    "InferenceSpecification",
    "CustomerMetadataProperties",
    "ModelApprovalStatus",
    "ModelPackageDescription",
)


class Packages:
    """The operations on groups and packages.

    Assumed of the real service: an update replaces the entries it names, removes those it is
    told to remove and keeps all others; the status alone leaves entries alone.
    """

    def __init__(self, account) -> None:
        self.account = account

    def create_model_package_group(self, asked):
        name = asked["ModelPackageGroupName"]
        with self.account.lock:
            if name in self.account.groups:
                raise invalid(f"Model Package Group already exists: {name}")
            self.account.groups[name] = {"next": 1}
            found = arn("model-package-group", name)
            self.account.tags[found] = list(asked.get("Tags", []))
        return {"ModelPackageGroupArn": found}

    def create_model_package(self, asked):
        group, token = asked["ModelPackageGroupName"], asked.get("ClientToken")
        with self.account.lock:
            if group not in self.account.groups:
                raise absent(f"model package group {group}")
            if token in self.account.tokens:
                return {"ModelPackageArn": self.account.tokens[token]}
            version = self.account.groups[group]["next"]
            self.account.groups[group]["next"] += 1
            found = arn("model-package", f"{group}/{version}")
            self.account.packages[found] = {
                **{key: asked[key] for key in _KEPT if key in asked},
                "ModelPackageName": group,
                "ModelPackageGroupName": group,
                "ModelPackageVersion": version,
                "ModelPackageArn": found,
                "CreationTime": now(),
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
            }
            if token:
                self.account.tokens[token] = found
        return {"ModelPackageArn": found}

    def describe_model_package(self, asked):
        return dict(self._package(asked["ModelPackageName"]))

    def update_model_package(self, asked):
        one = self._package(asked["ModelPackageArn"])
        with self.account.lock:
            entries = dict(one.get("CustomerMetadataProperties", {}))
            entries.update(asked.get("CustomerMetadataProperties", {}))
            for key in asked.get("CustomerMetadataPropertiesToRemove", ()):
                entries.pop(key, None)
            if len(entries) > 50:
                raise invalid("CustomerMetadataProperties: at most 50 entries")
            one["CustomerMetadataProperties"] = entries
            for key in ("ModelApprovalStatus", "ApprovalDescription"):
                if key in asked:
                    one[key] = asked[key]
            one["LastModifiedTime"] = now()
        return {"ModelPackageArn": one["ModelPackageArn"]}

    def list_model_packages(self, asked):
        group = asked["ModelPackageGroupName"]
        if group not in self.account.groups:
            raise absent(f"model package group {group}")
        with self.account.lock:
            found = [
                one
                for one in self.account.packages.values()
                if one["ModelPackageGroupName"] == group
                and asked.get("ModelApprovalStatus") in {None, one.get("ModelApprovalStatus")}
            ]
        start, size = int(asked.get("NextToken", "0")), 2
        kept = (
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
        )
        answer = {
            "ModelPackageSummaryList": [
                {key: one[key] for key in kept} for one in found[start : start + size]
            ]
        }
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return answer

    def delete_model_package(self, asked):
        one = self._package(asked["ModelPackageName"])
        with self.account.lock:
            del self.account.packages[one["ModelPackageArn"]]
        return {}

    def add_tags(self, asked):
        with self.account.lock:
            tags = self._tags(asked["ResourceArn"])
            added = {one["Key"]: one["Value"] for one in (*tags, *asked["Tags"])}
            tags[:] = [{"Key": key, "Value": value} for key, value in added.items()]
            if len(tags) > 50:
                raise AwsError("ValidationException", "at most 50 tags")
            return {"Tags": list(tags)}

    def delete_tags(self, asked):
        with self.account.lock:
            tags = self._tags(asked["ResourceArn"])
            tags[:] = [one for one in tags if one["Key"] not in asked["TagKeys"]]
        return {}

    def list_tags(self, asked):
        return {"Tags": list(self._tags(asked["ResourceArn"]))}

    def _tags(self, resource):
        try:
            return self.account.tags[resource]
        except KeyError:
            raise absent(f"resource {resource}") from None

    def _package(self, name):
        try:
            return self.account.packages[name]
        except KeyError:
            raise absent(f"ModelPackage {name}") from None
