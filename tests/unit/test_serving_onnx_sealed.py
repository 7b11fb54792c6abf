"""ONNX models are used only when all their weights are in the file itself."""

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.onnx_ml_pb2 import ModelProto

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.onnx_engine import task_of
from ml_pipeline.serving.onnx_sealed import (
    FIELDS,
    Message,
    external_tensors,
    refuse_external_data,
)
from tests.fakes.packages import likelihood_onnx, linear_onnx, package, text_onnx


def weights(name: str, *, outside: bool, values: int = 3) -> TensorProto:
    tensor = numpy_helper.from_array(np.arange(values, dtype=np.float32), name)
    if outside:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def sparse(tensor: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor, indices=indices, dims=[9])


def subgraph(tensor: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], [tensor])


def node(**attribute: object) -> onnx.NodeProto:
    return onnx.NodeProto(op_type="If", attribute=[onnx.AttributeProto(name="x", **attribute)])


def graph(**parts: object) -> onnx.ModelProto:
    return onnx.ModelProto(graph=onnx.GraphProto(**parts))


INSIDE = weights("inside", outside=False)
PLACES = {
    "initializer": lambda t: graph(initializer=[INSIDE, t]),
    "sparse initializer": lambda t: graph(sparse_initializer=[sparse(t, INSIDE)]),
    "sparse indices": lambda t: graph(sparse_initializer=[sparse(INSIDE, t)]),
    "attribute": lambda t: graph(node=[node(t=t)]),
    "attribute list": lambda t: graph(node=[node(tensors=[INSIDE, t])]),
    "sparse attribute": lambda t: graph(node=[node(sparse_tensor=sparse(t, INSIDE))]),
    "sparse attributes": lambda t: graph(node=[node(sparse_tensors=[sparse(t, INSIDE)])]),
    "subgraph": lambda t: graph(node=[node(g=subgraph(t))]),
    "subgraphs": lambda t: graph(node=[node(graphs=[subgraph(INSIDE), subgraph(t)])]),
    "subgraph of a subgraph": lambda t: graph(
        node=[node(g=onnx.GraphProto(node=[node(g=subgraph(t))]))]
    ),
    "function": lambda t: onnx.ModelProto(functions=[onnx.FunctionProto(node=[node(t=t)])]),
    "function's default": lambda t: onnx.ModelProto(
        functions=[onnx.FunctionProto(attribute_proto=[onnx.AttributeProto(name="x", t=t)])]
    ),
    "training": lambda t: onnx.ModelProto(
        training_info=[onnx.TrainingInfoProto(algorithm=subgraph(t))]
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("values", [1, 3])
def test_a_tensor_elsewhere_is_found_wherever_it_stands(place, values):
    outside = PLACES[place](weights("W", outside=True, values=values)).SerializeToString()
    assert list(external_tensors(outside)) == ["W"]
    inside = PLACES[place](weights("W", outside=False, values=values)).SerializeToString()
    assert list(external_tensors(inside)) == []


def test_the_places_are_all_that_the_format_has():
    """Against the format's own description: a new place for a tensor fails here first."""
    known, left = {}, [ModelProto.DESCRIPTOR]
    while left:
        kind = left.pop()
        if kind.name not in known:
            known[kind.name] = {f.number: f.message_type for f in kind.fields if f.message_type}
            left += known[kind.name].values()
    holding = {"TensorProto"}
    for _ in known:
        holding |= {
            name for name, fields in known.items() if {f.name for f in fields.values()} & holding
        }
    expected = {
        name: {at: kind.name for at, kind in known[name].items() if kind.name in holding}
        for name in holding
    }
    assert {kind.value: dict(fields) for kind, fields in FIELDS.items()} == expected
    assert set(Message) == holding


@given(
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1)),
    floats=st.lists(st.floats(width=32)),
    strings=st.lists(st.binary(max_size=40)),
    raw=st.binary(max_size=200),
    outside=st.booleans(),
)
def test_what_else_a_model_holds_changes_nothing(numbers, floats, strings, raw, outside):
    """Numbers and bytes of any value beside the tensor are walked past, none is taken for it."""
    beside = numpy_helper.from_array(np.frombuffer(raw, dtype=np.uint8), "beside")
    attributes = [
        onnx.AttributeProto(name="n", ints=numbers, floats=floats, strings=strings),
        onnx.AttributeProto(name="t", t=weights("W", outside=outside)),
    ]
    model = graph(node=[onnx.NodeProto(attribute=attributes)], initializer=[beside])
    assert list(external_tensors(model.SerializeToString())) == (["W"] if outside else [])


@given(st.binary(max_size=300))
def test_bytes_of_any_content_end_with_our_error_or_none(content):
    with suppress(DataError):
        refuse_external_data(content)


@pytest.mark.parametrize("content", [linear_onnx(), text_onnx(), likelihood_onnx([None, 2])])
def test_a_model_cut_short_is_no_protocol_buffer(content):
    refuse_external_data(content)
    with pytest.raises(DataError, match="no part of a protocol buffer"):
        refuse_external_data(content[:-1])


def linear_outside() -> bytes:
    model = onnx.load_from_string(linear_onnx())
    model.graph.initializer[0].CopyFrom(_moved(model.graph.initializer[0]))
    return model.SerializeToString()


def _moved(tensor: TensorProto) -> TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def test_weights_beside_the_model_are_neither_packaged_nor_loaded(tmp_path, monkeypatch):
    """Not even where the runtime would find them: below the folder the process runs in."""
    (tmp_path / "weights.bin").write_bytes(np.array([2.0, 3.0]).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="in another file: 'weights'") as caught:
        package(tmp_path, linear_outside())
    assert "save_as_external_data=False" in caught.value.remedy
    with pytest.raises(DataError, match="in another file: 'weights'"):
        task_of(linear_outside())
