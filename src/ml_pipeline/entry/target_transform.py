"""Regressors of a transformed target (scikit-learn's `TransformedTargetRegressor`) as ONNX.

Run by the project's Python beside `export_model.py`: nothing newer than Python 3.9 may be used.
The converter knows no such regressor, so what it wraps is converted, and the inverse put behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_DOUBLE = 11  # onnx.TensorProto's own number
#: Functions of numpy whose inverse is known here as ONNX operators, each with its second operand.
INVERSES: dict[str, list[tuple[str, float | None]]] = {
    "exp": [("Exp", None)],
    "expm1": [("Exp", None), ("Sub", 1.0)],
    "square": [("Pow", 2.0)],
    "sqrt": [("Sqrt", None)],
}


def parted(model: Any) -> tuple[Any, Any] | None:
    """The model without the transformation of its target, and what transforms it; None: nothing."""
    if hasattr(model, "regressor_") and hasattr(model, "transformer_"):
        return model.regressor_, model
    steps = list(getattr(model, "steps", []))
    inner = parted(steps[-1][1]) if steps else None
    if inner is None:
        return None
    pipeline = import_module("sklearn.pipeline").Pipeline
    return pipeline([*steps[:-1], (steps[-1][0], inner[0])]), inner[1]


def with_inverse(convert: Callable[[], bytes], wrapper: Any) -> bytes:
    """The ONNX of what is wrapped, with the inverse behind it: in float64, as an exponent grows.

    Args:
        convert: gives the ONNX of what is wrapped.
        wrapper: the fitted `TransformedTargetRegressor`.

    Raises:
        ValueError: the inverse is none of `INVERSES`.
    """
    numpy, onnx = import_module("numpy"), import_module("onnx")
    name = getattr(wrapper.inverse_func, "__name__", type(wrapper.transformer_).__name__)
    if name not in INVERSES or wrapper.inverse_func is not getattr(numpy, name):
        known = ", ".join(f"numpy.{one}" for one in INVERSES)
        raise ValueError(f"its target is turned back by {name}, and known are {known}")
    proto = onnx.load_from_string(convert())
    graph, last = proto.graph, proto.graph.output[0]
    value = "target"
    graph.node.append(onnx.helper.make_node("Cast", [last.name], [value], to=_DOUBLE))
    for operator, operand in INVERSES[name]:
        taken, value = [value], f"{value}_{operator}"
        if operand is not None:
            taken.append(f"{value}_operand")
            number = numpy.array([operand], dtype=numpy.float64)
            graph.initializer.append(onnx.numpy_helper.from_array(number, taken[1]))
        graph.node.append(onnx.helper.make_node(operator, taken, [value]))
    last.name, last.type.tensor_type.elem_type = value, _DOUBLE
    made: bytes = proto.SerializeToString()
    return made
