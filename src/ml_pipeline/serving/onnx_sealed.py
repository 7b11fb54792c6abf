"""Whether an ONNX model holds all its weights itself, read from its bytes alone.

A tensor of ONNX may say that its values lie in another file. The runtime looks for that file below
the folder a process happens to run in: what would be served is then neither sealed by the
package's digests nor the same everywhere.

Source:
    ONNX, "External Data" (docs/ExternalData.md) and onnx-ml.proto: field numbers and types.
    Protocol Buffers, "Encoding": the wire format.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from ml_pipeline.domain.errors import DataError


class Message(StrEnum):
    """Kinds of ONNX messages that hold tensors, and the tensor itself."""

    MODEL = "ModelProto"
    TRAINING = "TrainingInfoProto"
    GRAPH = "GraphProto"
    FUNCTION = "FunctionProto"
    NODE = "NodeProto"
    ATTRIBUTE = "AttributeProto"
    SPARSE = "SparseTensorProto"
    TENSOR = "TensorProto"


#: By message: which of its fields are messages that may hold a tensor.
FIELDS: Mapping[Message, Mapping[int, Message]] = {
    Message.MODEL: {7: Message.GRAPH, 20: Message.TRAINING, 25: Message.FUNCTION},
    Message.TRAINING: {1: Message.GRAPH, 2: Message.GRAPH},
    Message.GRAPH: {1: Message.NODE, 5: Message.TENSOR, 15: Message.SPARSE},
    Message.FUNCTION: {7: Message.NODE, 11: Message.ATTRIBUTE},
    Message.NODE: {5: Message.ATTRIBUTE},
    Message.ATTRIBUTE: {
        5: Message.TENSOR,
        6: Message.GRAPH,
        10: Message.TENSOR,
        11: Message.GRAPH,
        22: Message.SPARSE,
        23: Message.SPARSE,
    },
    Message.SPARSE: {1: Message.TENSOR, 2: Message.TENSOR},
    Message.TENSOR: {},
}
#: Of a tensor: its name, and where its values lie (anything but 0 is "elsewhere").
_NAME, _DATA_LOCATION = 8, 14
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_FIXED: Mapping[int, int] = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_VARINT = 10
#: Runs of an attribute's numbers (`floats` and `ints`), each with its tag before it: a forest has
#: millions, which take seconds to walk one by one and milliseconds this way.
_NUMBERS = re.compile(rb"(?:\x3d.{4}|\x40[\x80-\xff]{0,9}[\x00-\x7f])++", re.DOTALL)


def refuse_external_data(content: bytes) -> None:
    """Refuse a model with values outside its own file.

    Args:
        content: the file, a `ModelProto`.

    Raises:
        DataError: a tensor's values lie in another file, or the bytes are no ONNX; names it.
    """
    elsewhere = sorted(set(external_tensors(content)))
    if elsewhere:
        named = ", ".join(repr(name) for name in elsewhere[:5])
        more = f" and {len(elsewhere) - 5} more" if len(elsewhere) > 5 else ""
        raise DataError(
            f"the ONNX model keeps its weights in another file: {named}{more}",
            remedy="Save the model with its weights inside"
            " (onnx.save with save_as_external_data=False).",
        )


def external_tensors(content: bytes) -> Iterator[str]:
    """Names of the tensors whose values lie elsewhere, wherever in the model they stand.

    Raises:
        DataError: the bytes are no protocol buffer.
    """
    left = [(Message.MODEL, 0, len(content))]
    while left:
        message, start, end = left.pop()
        name, external = "", False
        for field, value in _fields(content, start, end):
            if isinstance(value, int):
                external |= field == _DATA_LOCATION and value != 0
            elif (inner := FIELDS[message].get(field)) is not None:
                left.append((inner, value.start, value.stop))
            elif message is Message.TENSOR and field == _NAME:
                name = content[value.start : value.stop].decode(errors="replace")
        if external and message is Message.TENSOR:
            yield name


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int | range]]:
    """Fields of one message: a number, or where its bytes lie."""
    while at < end:
        if numbers := _NUMBERS.match(content, at, end):
            at = numbers.end()
            continue
        tag, at = _varint(content, at, end)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise _broken(at)
        if kind == _VARINT:
            number, at = _varint(content, at, end)
            yield field, number
            continue
        length, at = _varint(content, at, end) if kind == _LENGTH else (_FIXED.get(kind, -1), at)
        if length < 0 or length > end - at:
            raise _broken(at)
        if kind == _LENGTH:
            yield field, range(at, at + length)
        at += length


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of up to ten bytes of seven bits, the lowest first; where it ends."""
    number = 0
    for place, byte in enumerate(content[at : min(at + _LONGEST_VARINT, end)]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise _broken(at)


def _broken(at: int) -> DataError:
    return DataError(
        f"the ONNX model does not load: byte {at} is no part of a protocol buffer",
        remedy="Export the model again, or set package.format to 'skops'.",
    )
