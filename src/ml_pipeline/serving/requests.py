"""Bodies of prediction requests: the conventions of MLflow and SageMaker.

`application/json` holds exactly one of

    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}
    {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}
    {"instances": …}   records, or rows in the model's order
    {"inputs": …}      as `instances`, or one list a column: {"a": [1, 3], "b": [2, 4]}

and may hold `"params"`, on Vertex `"parameters"`: `{"output": …}`, one of "label", "position",
"probability" and "probabilities".
`text/csv` holds rows in the model's order, with or without a header.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import orjson

from ml_pipeline.serving.rows import Batch, Schema, refuse

#: More would keep one worker busy for seconds: such work belongs into a batch job.
MAX_ROWS = 100_000
_Row = TypeVar("_Row")
_PARAMS = ("params", "parameters")
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Output(StrEnum):
    """What a prediction is given as.

    The label itself, its position, the positive class's probability, or that of every class.
    """

    LABEL = "label"
    POSITION = "position"
    PROBABILITY = "probability"
    PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True)
class Query:
    """A request understood."""

    batch: Batch
    output: Output


def parse_json(body: bytes, schema: Schema) -> Query:
    """A JSON body.

    Raises:
        DataError: it is not one of the four forms, or its rows are not what the model takes.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        refuse(f"the body is no JSON: {error}")
    if not isinstance(given, dict):
        refuse(f"the body is no JSON object with one of {', '.join(_FORMS)}")
    forms = [key for key in given if key not in _PARAMS]
    if len(forms) != 1 or forms[0] not in _FORMS:
        found = ", ".join(map(repr, forms)) or "none"
        refuse(f"the body holds {found} where it takes exactly one of {', '.join(_FORMS)}")
    rows = _rows(forms[0], given[forms[0]], schema)
    return Query(
        schema.batch(_counted(rows)), _output(given.get("params", given.get("parameters")))
    )


def parse_csv(body: bytes, schema: Schema) -> Query:
    """A CSV body; a first line that names all columns of the model is a header.

    Raises:
        DataError: it is no CSV in UTF-8, or its rows are not what the model takes.
    """
    try:
        text = body.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        refuse(f"the body is no CSV in UTF-8: {error}")
    if rows and set(schema.names) <= set(rows[0]):
        order = schema.order(rows[0])
        width = len(rows[0])
        body_rows = rows[1:]
        for at, row in enumerate(body_rows):
            if len(row) != width:
                refuse(f"row {at} holds {len(row)} values, its header {width}")
        rows = body_rows if order is None else [[row[i] for i in order] for row in body_rows]
    return Query(schema.batch_of_cells(_counted(rows)), Output.LABEL)


def _counted(rows: Sequence[_Row]) -> Sequence[_Row]:
    if not rows:
        refuse("the request holds no rows")
    if len(rows) > MAX_ROWS:
        refuse(f"the request holds {len(rows)} rows, at most {MAX_ROWS} are taken")
    return rows


def _output(params: object) -> Output:
    if params is None or params == {}:
        return Output.LABEL
    if not isinstance(params, dict) or set(params) != {"output"}:
        refuse("'params' may hold only 'output'")
    asked = params["output"]
    if asked not in list(Output):
        refuse(f"params.output {asked!r} is none of {', '.join(Output)}")
    return Output(asked)


def _rows(form: str, given: object, schema: Schema) -> Sequence[Sequence[object]]:
    if form == "dataframe_split":
        return _split(given, schema)
    if form == "inputs" and isinstance(given, dict):
        return _columns(given, schema)
    if not isinstance(given, list):
        refuse(f"{form!r} holds no list of rows")
    return _records_or_lists(form, given, schema)


def _split(given: object, schema: Schema) -> Sequence[Sequence[object]]:
    if not isinstance(given, dict) or not {"columns", "data"} <= given.keys():
        refuse("'dataframe_split' takes 'columns' and 'data'")
    names, data = given["columns"], given["data"]
    if not isinstance(names, list) or not isinstance(data, list):
        refuse("'columns' and 'data' of 'dataframe_split' are lists")
    order = schema.order(names)
    width = len(names)
    for at, row in enumerate(data):
        if not isinstance(row, list):
            refuse(f"row {at} is no list of values")
        if len(row) != width:
            refuse(f"row {at} holds {len(row)} values for {width} columns")
    return data if order is None else [[row[i] for i in order] for row in data]


def _columns(given: Mapping[str, object], schema: Schema) -> Sequence[Sequence[object]]:
    if missing := [name for name in schema.names if name not in given]:
        refuse(f"column {', '.join(map(repr, missing))} is missing")
    columns = [given[name] for name in schema.names]
    listed = [value if isinstance(value, list) else [value] for value in columns]
    lengths = {len(values) for values in listed}
    if len(lengths) != 1:
        refuse(f"the columns of 'inputs' hold {sorted(lengths)} values: not the same number")
    return list(zip(*listed, strict=True))


def _records_or_lists(
    form: str, given: Sequence[object], schema: Schema
) -> Sequence[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for at, row in enumerate(given):
        if isinstance(row, dict):
            try:
                rows.append([row[name] for name in schema.names])
            except KeyError as error:
                refuse(f"row {at}: column {error} is missing")
        elif form == "dataframe_records":
            refuse(f"row {at} is no record of column and value")
        elif isinstance(row, list):
            rows.append(row)
        else:
            rows.append([row])
    return rows
