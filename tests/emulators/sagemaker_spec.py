"""Bodies of SageMaker's API, held against AWS's own model of it in botocore."""

import re
from collections.abc import Iterator
from functools import cache

import botocore.session

MODEL = botocore.session.get_session().get_service_model("sagemaker")


def faults(shape, value, path: str) -> Iterator[str]:
    """Everything in a value that the shape does not allow, members unknown to it included."""
    kind = shape.type_name
    if value is None:
        yield f"{path} is null"
    elif kind == "structure":
        yield from _structure(shape, value, path)
    elif kind == "list":
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        yield from _size(shape, len(value), path)
        for position, one in enumerate(value):
            yield from faults(shape.member, one, f"{path}[{position}]")
    elif kind == "map":
        yield from _size(shape, len(value), path)
        for key, one in value.items():
            yield from faults(shape.key, key, f"{path}.key")
            yield from faults(shape.value, one, f"{path}.{key}")
    else:
        yield from _scalar(shape, value, path)


def _structure(shape, value, path):
    if not isinstance(value, dict):
        yield f"{path} is no structure"
        return
    for name in shape.required_members:
        if name not in value:
            yield f"{path}.{name} is required"
    for name, one in value.items():
        if name in shape.members:
            yield from faults(shape.members[name], one, f"{path}.{name}")
        else:
            yield f"{path}.{name} is not in the model"


def _scalar(shape, value, path):
    kinds = {
        "string": str,
        "integer": int,
        "long": int,
        "float": (int, float),
        "double": (int, float),
        "timestamp": (int, float),
        "boolean": bool,
    }
    wanted = kinds[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        yield f"{path}: {value!r} is no {shape.type_name}"
    elif isinstance(value, str):
        yield from _text(shape.metadata, value, path)
    elif shape.type_name not in {"boolean", "timestamp"}:
        yield from _size(shape, value, path)


def _text(rules, value, path):
    if rules.get("enum") and value not in rules["enum"]:
        yield f"{path}: {value!r} is not one of {rules['enum']}"
    if rules.get("pattern") and not _pattern(rules["pattern"]).fullmatch(value):
        yield f"{path}: {value!r} does not match {rules['pattern']}"
    if len(value) > rules.get("max", len(value)) or len(value) < rules.get("min", 0):
        yield f"{path}: {len(value)} characters, allowed are {rules}"


def _size(shape, size, path):
    rules = shape.metadata
    if size > rules.get("max", size) or size < rules.get("min", size):
        yield f"{path}: {size} is not within {rules}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """AWS writes Java's expressions; some end in a quantifier of `$`."""
    text = re.sub(r"\$\{\d+,\d+\}$", "", text)
    text = text.replace(r"\p{L}", r"^\W\d_" if text == r"\p{L}" else r"\w")
    return re.compile(text.replace(r"\p{N}", r"\d").replace(r"\p{Z}", " "), re.DOTALL)
