"""Bodies of Azure ML's REST API, held against the models Microsoft generates into its own SDK."""
# ruff: noqa: C901 - one branch a kind of type

import enum
import re
import typing
import warnings
from collections.abc import Iterator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from azure.ai.ml._restclient.arm_ml_service import models
    from azure.ai.ml._restclient.arm_ml_service.models import _models

_NAMES = {**vars(typing), **vars(_models), **vars(models), "_models": models}
#: What a PUT to a path carries, by the end of the path.
KINDS = (
    (re.compile(r"/jobs/[^/]+$"), models.JobBase),
    (re.compile(r"/models/[^/]+/versions/[^/]+$"), models.ModelVersion),
    (re.compile(r"/models/[^/]+$"), models.ModelContainer),
    (re.compile(r"/environments/[^/]+/versions/[^/]+$"), models.EnvironmentVersion),
    (re.compile(r"/datastores/[^/]+$"), models.Datastore),
    (re.compile(r"/onlineEndpoints/[^/]+$"), models.OnlineEndpoint),
    (re.compile(r"/onlineEndpoints/[^/]+/deployments/[^/]+$"), models.OnlineDeployment),
)


def faults(path: str, body: object, *, request: bool) -> list[str]:
    """What is wrong with a body of that path; empty where the vendor's model has nothing to say."""
    for pattern, kind in KINDS:
        if pattern.search(path):
            return list(_check(kind, body, "body", request))
    return []


def _resolved(kind: object) -> object:
    if isinstance(kind, typing.ForwardRef):
        kind = kind.__forward_arg__
    return eval(kind, _NAMES) if isinstance(kind, str) else kind  # names of the vendor's models


def _fields(kind: type) -> dict:
    if "_attr_to_rest_field" not in vars(kind):
        kind.__new__(kind)
    return kind._attr_to_rest_field


def _check(kind: object, value: object, at: str, request: bool) -> Iterator[str]:
    kind = _resolved(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if value is None or kind is typing.Any:
        return
    if origin is typing.Union:
        yield from _check_union(inner, value, at, request)
    elif origin is dict:
        if isinstance(value, dict):
            for key, one in value.items():
                yield from _check(inner[1], one, f"{at}[{key}]", request)
        else:
            yield f"{at}: no object"
    elif origin is list:
        if isinstance(value, list):
            for index, one in enumerate(value):
                yield from _check(inner[0], one, f"{at}[{index}]", request)
        else:
            yield f"{at}: no list"
    elif isinstance(kind, type) and hasattr(kind, "_deserialize"):
        yield from _check_model(kind, value, at, request)
    else:
        yield from _check_plain(kind, value, at)


def _check_union(inner: tuple, value: object, at: str, request: bool) -> Iterator[str]:
    kinds = [_resolved(one) for one in inner if one is not type(None)]
    enums = [one for one in kinds if isinstance(one, type) and issubclass(one, enum.Enum)]
    if enums and isinstance(value, str):
        if value.lower() not in {one.value.lower() for one in enums[0]}:
            yield f"{at}: {value!r} is no {enums[0].__name__}"
    elif len(kinds) == 1:
        yield from _check(kinds[0], value, at, request)


def _check_model(kind: type, value: object, at: str, request: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: no object"
        return
    kinds = getattr(kind, "__mapping__", None)
    marks = [f._rest_name for f in _fields(kind).values() if getattr(f, "_is_discriminator", False)]
    if kinds and marks:
        named = kinds.get(value.get(marks[0]))
        if named is None:
            yield f"{at}.{marks[0]}: {value.get(marks[0])!r} is unknown"
        elif named is not kind:
            yield from _check_model(named, value, at, request)
            return
    hints = {
        k: v
        for one in reversed(kind.__mro__)
        for k, v in vars(one).get("__annotations__", {}).items()
    }
    known = {field._rest_name: (name, field) for name, field in _fields(kind).items()}
    for key, one in value.items():
        if key not in known:
            yield f"{at}.{key}: not in {kind.__name__}"
            continue
        name, field = known[key]
        if request and field._visibility == ["read"] and one is not None:
            yield f"{at}.{key}: read-only in {kind.__name__}"
        yield from _check(hints.get(name, typing.Any), one, f"{at}.{key}", request)
    for key, (name, field) in known.items():
        hint = _resolved(hints.get(name, typing.Any))
        optional = hint is typing.Any or type(None) in typing.get_args(hint)
        unsent = request and field._visibility == ["read"]
        if not optional and key not in value and not unsent:
            yield f"{at}.{key}: required by {kind.__name__}"


def _check_plain(kind: object, value: object, at: str) -> Iterator[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    good = {str: isinstance(value, str), int: whole, float: number, bool: isinstance(value, bool)}
    if not good.get(kind, True):
        yield f"{at}: {value!r} is no {kind.__name__}"
