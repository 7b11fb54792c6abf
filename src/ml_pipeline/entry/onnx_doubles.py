"""What ONNX Runtime lacks for float64: beside `export_model.py`, by the project's own Python."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any


def without_imputers(proto: Any, steps: Sequence[Any]) -> None:
    """Each `Imputer` of numbers as `Where(IsNaN(x), statistics, x)`: it exists in float32 only.

    Args:
        proto: an ONNX model whose numbers are float64; changed.
        steps: of the model it was converted from; the nodes hold their statistics in float32.
    """
    numpy, onnx = import_module("numpy"), import_module("onnx")
    known = [step.statistics_ for step in steps if hasattr(step, "statistics_")]
    numbers = [one for one in known if one.dtype.kind == "f"]
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    for node in nodes:
        told = {one.name: one for one in node.attribute}
        rounded = numpy.array(told["imputed_value_floats"].floats) if _imputes(node, told) else None
        exact = [] if rounded is None else [one for one in numbers if _same(numpy, one, rounded)]
        if not exact:
            proto.graph.node.append(node)
            continue
        (rows,), (filled,) = node.input, node.output
        value, missing = f"{filled}_statistics", f"{filled}_missing"
        statistics = onnx.numpy_helper.from_array(exact[0].astype(numpy.float64), value)
        proto.graph.initializer.append(statistics)
        proto.graph.node.append(onnx.helper.make_node("IsNaN", [rows], [missing]))
        proto.graph.node.append(onnx.helper.make_node("Where", [missing, value, rows], [filled]))


def _imputes(node: Any, told: dict[str, Any]) -> bool:
    """Whether it fills in for NaN, and not for some number that means nothing."""
    if node.op_type != "Imputer" or "imputed_value_floats" not in told:
        return False
    replaced = told["replaced_value_float"].f
    return bool(replaced != replaced)  # noqa: PLR0124 - NaN alone is not itself


def _same(numpy: Any, statistics: Any, rounded: Any) -> bool:
    of_floats = statistics.astype(numpy.float32)
    return of_floats.shape == rounded.shape and bool((of_floats == rounded).all())
