"""Names on Vertex AI that follow from ours, so that every machine finds the same things."""

import hashlib

#: What every resource of a project carries, and is found by.
PROJECT = "ml_pipeline_project"
_LONGEST = 63


def resource_id(*words: str) -> str:
    """The id of a model or endpoint: a letter first, at most 63 of a-z, 0-9 and hyphens.

    >>> resource_id("eta", "production")
    'eta-production'
    >>> resource_id("7up")
    'm-7up'
    """
    name = "-".join(words)
    name = name if name[0].isalpha() else f"m-{name}"
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST - 17].rstrip('-')}-{digest}"


def deployed_id(slot: str, version: str) -> str:
    """The id of a version in a slot, up to ten digits: the same deployment has the same id.

    A platform that is asked for it twice, by two machines, therefore makes it once.

    >>> deployed_id("v2", "2") == deployed_id("v2", "2") != deployed_id("v2", "3")
    True
    """
    digest = hashlib.sha256(f"{slot}@{version}".encode()).digest()
    return str(10**9 + int.from_bytes(digest[:8], "big") % (9 * 10**9))
