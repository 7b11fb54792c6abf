"""Small package folders, made in milliseconds."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import skops.io
from onnx import TensorProto, helper
from sklearn.linear_model import LinearRegression

from ml_pipeline.serving.package import write_package

#: y = 2 a + 3 b + 1
WEIGHTS, CONSTANT = (2.0, 3.0), 1.0
COLUMNS = ({"name": "a", "type": "float"}, {"name": "b", "type": "float"})


def line(a: float, b: float) -> float:
    """What the linear models here predict."""
    return WEIGHTS[0] * a + WEIGHTS[1] * b + CONSTANT


def linear_onnx(weights: Sequence[float] = WEIGHTS, constant: float = CONSTANT) -> bytes:
    """A linear model of one input of shape (n, k), in float64."""
    return _model(
        [
            helper.make_node("MatMul", ["rows", "weights"], ["weighted"]),
            helper.make_node("Add", ["weighted", "constant"], ["predicted"]),
        ],
        inputs=[helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, len(weights)])],
        outputs=[helper.make_tensor_value_info("predicted", TensorProto.DOUBLE, [None, 1])],
        constants={
            "weights": np.array(weights, dtype=np.float64).reshape(-1, 1),
            "constant": np.array([constant]),
        },
    )


def likelihood_onnx(shape: Sequence[int | None]) -> bytes:
    """P(second of two classes) = sigmoid(a), of shape (n,) or (n, 1) or with its rest (n, 2).

    Of shape (n, 3) half of the rest stands on each side of it.
    """
    nodes = [
        helper.make_node("MatMul", ["rows", "weights"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["column"]),
        helper.make_node("Sub", ["one", "column"], ["rest"]),
        helper.make_node("Mul", ["rest", "half"], ["side"]),
    ]
    last = {
        (None,): helper.make_node("Squeeze", ["column", "axis"], ["p"]),
        (None, 1): helper.make_node("Identity", ["column"], ["p"]),
        (None, 3): helper.make_node("Concat", ["side", "column", "side"], ["p"], axis=1),
        (None, 2): helper.make_node("Concat", ["rest", "column"], ["p"], axis=1),
    }
    return _model(
        [*nodes, last[tuple(shape)]],
        inputs=[helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 2])],
        outputs=[helper.make_tensor_value_info("p", TensorProto.FLOAT, shape)],
        constants={
            "weights": np.array([[1.0], [0.0]], dtype=np.float32),
            "one": np.array([1.0], dtype=np.float32),
            "half": np.array([0.5], dtype=np.float32),
            "axis": np.array([1]),
        },
    )


def text_onnx() -> bytes:
    """Takes `name` (text) and `size` (number) by column; answers the name as a label."""
    return _model(
        [
            helper.make_node("Squeeze", ["name", "axis"], ["label"]),
            helper.make_node("Sub", ["one", "size"], ["rest"]),
            helper.make_node("Concat", ["rest", "size"], ["probabilities"], axis=1),
        ],
        inputs=[
            helper.make_tensor_value_info("size", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("name", TensorProto.STRING, [None, 1]),
        ],
        outputs=[
            helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        constants={"axis": np.array([1]), "one": np.array([1.0], dtype=np.float32)},
    )


def _model(nodes, *, inputs, outputs, constants) -> bytes:
    made = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, made)
    opsets = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def linear_skops() -> bytes:
    """The same line as a scikit-learn model."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    model = LinearRegression().fit(rows, rows @ np.array(WEIGHTS) + CONSTANT)
    return skops.io.dumps(model)


def package(folder: Path, content: bytes, **facts: object) -> Path:
    """A package folder `folder/package` of a model's bytes; two numeric columns a and b."""
    model = folder / "model"
    model.write_bytes(content)
    given = {"format": "onnx", "task": "regression", "columns": COLUMNS, **facts}
    write_package(folder / "package", model, given)
    return folder / "package"


def text_package(folder: Path) -> Path:
    """A classifier of text labels in `folder` itself: the label is `name`, of the classes x, y."""
    columns = [{"name": "name", "type": "string"}, {"name": "size", "type": "float"}]
    facts = {"columns": columns, "task": "classification", "classes": ["x", "y"]}
    with TemporaryDirectory() as scratch:
        model = Path(scratch) / "model"
        model.write_bytes(text_onnx())
        write_package(folder, model, {"format": "onnx", **facts})
    return folder


def line_package(folder: Path, format_: str = "onnx") -> Path:
    """The linear model in one of the two formats."""
    content = linear_onnx() if format_ == "onnx" else linear_skops()
    return package(folder, content, format=format_)
