"""Request bodies: the conventions that are understood, and errors that name what is wrong."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.package import InputColumn, ValueType
from ml_pipeline.serving.requests import MAX_ROWS, Output, parse_csv, parse_json
from ml_pipeline.serving.rows import Schema, read_rows


def schema_of(**types: str) -> Schema:
    return Schema([InputColumn(name=name, type=ValueType(kind)) for name, kind in types.items()])


NUMBERS = schema_of(a="float", b="float")
MIXED = schema_of(size="float", count="int", name="string", late="bool")

SAME = [
    {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2.5], [3, 4]]}},
    {"dataframe_split": {"columns": ["b", "a"], "data": [[2.5, 1], [4, 3]]}},
    {"dataframe_split": {"columns": ["b", "x", "a"], "data": [[2.5, "?", 1], [4, None, 3]]}},
    {"dataframe_split": {"index": [7, 8], "columns": ["a", "b"], "data": [[1, 2.5], [3, 4]]}},
    {"dataframe_records": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3, "more": "x"}]},
    {"instances": [[1, 2.5], [3, 4]]},
    {"instances": [{"a": 1, "b": 2.5}, {"a": 3, "b": 4}]},
    {"inputs": {"a": [1, 3], "b": [2.5, 4]}},
    {"inputs": [[1, 2.5], [3, 4]]},
]


@pytest.mark.parametrize("body", SAME, ids=lambda body: json.dumps(body)[:60])
def test_all_conventions_mean_the_same_rows(body):
    query = parse_json(json.dumps(body).encode(), NUMBERS)
    assert query.batch.numbers.tolist() == [[1, 2.5], [3, 4]]
    assert query.output is Output.LABEL


@pytest.mark.parametrize(
    "body",
    [
        "1,2.5\n3,4\n",
        "1,2.5\r\n3,4",
        "a,b\n1,2.5\n3,4\n",
        "b,a\n2.5,1\n4,3\n\n",
        "\ufeffa,b\n1,2.5\n3,4",
    ],
)
def test_csv_means_the_same_rows_with_and_without_a_header(body):
    assert parse_csv(body.encode(), NUMBERS).batch.numbers.tolist() == [[1, 2.5], [3, 4]]


def test_one_column_takes_plain_values():
    query = parse_json(b'{"instances": [1, 2]}', schema_of(a="float"))
    assert query.batch.numbers.tolist() == [[1], [2]]


def test_types_are_kept_apart():
    body = {"instances": [[1.5, 2, "x", True], [None, None, None, None], [0, 3.0, 12, 0]]}
    batch = parse_json(json.dumps(body).encode(), MIXED).batch
    assert batch.texts == {2: ["x", None, "12"]}
    assert np.isnan(batch.numbers[1]).all()
    assert batch.numbers[0].tolist()[:2] == [1.5, 2]
    assert batch.numbers[[0, 2], 3].tolist() == [1, 0]


def test_a_missing_number_is_not_zero():
    assert math.isnan(parse_json(b'{"instances": [[null, 2]]}', NUMBERS).batch.numbers[0, 0])


@pytest.mark.parametrize("word", ["", "NaN", "null", "NA"])
def test_a_missing_number_in_csv_is_not_zero(word):
    assert math.isnan(parse_csv(f"{word},2\n".encode(), NUMBERS).batch.numbers[0, 0])


@pytest.mark.parametrize("output", list(Output))
def test_the_output_can_be_chosen(output):
    body = json.dumps({"instances": [[1, 2]], "params": {"output": output}})
    assert parse_json(body.encode(), NUMBERS).output is output


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"instances": [[NaN, 1]]}', "no JSON"),
        ('{"instances": [[1e999, 1]]}', "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "exactly one of"),
        ('{"rows": []}', "'rows'"),
        ('{"instances": [[1, 2]], "inputs": [[1, 2]]}', "exactly one"),
        ('{"instances": []}', "no rows"),
        ('{"instances": {}}', "no list of rows"),
        ('{"instances": [[1]]}', "row 0 holds 1 values, the model takes 2"),
        ('{"instances": [[1, 2], [1, 2, 3]]}', "row 1 holds 3 values"),
        ('{"instances": [[1, "x"]]}', "row 0, column 'b': 'x' is not a finite number"),
        ('{"instances": [[1, 2], [true, 2]]}', "row 1, column 'a': True"),
        ('{"instances": [[1, [2]]]}', "column 'b': [2]"),
        ('{"instances": [[1, 2]], "params": {"output": "both"}}', "'both' is none of"),
        ('{"instances": [[1, 2]], "params": {"output": []}}', "is none of"),
        ('{"instances": [[1, 2]], "params": {"seed": 1}}', "only 'output'"),
        ('{"instances": [[1, 2]], "params": 3}', "only 'output'"),
        ('{"instances": [{"a": 1}]}', "row 0: column 'b' is missing"),
        ('{"dataframe_records": [[1, 2]]}', "row 0 is no record"),
        ('{"dataframe_records": {}}', "no list of rows"),
        ('{"dataframe_split": []}', "takes 'columns' and 'data'"),
        ('{"dataframe_split": {"columns": ["a", "b"]}}', "takes 'columns' and 'data'"),
        ('{"dataframe_split": {"columns": "ab", "data": []}}', "are lists"),
        ('{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "column 'b' is missing"),
        ('{"dataframe_split": {"columns": ["a", "a", "b"], "data": [[1, 1, 1]]}}', "twice"),
        ('{"dataframe_split": {"columns": ["a", ["b"]], "data": [[1, 1]]}}', "no column name"),
        ('{"dataframe_split": {"columns": ["b", "a"], "data": [[1]]}}', "row 0 holds 1 values"),
        ('{"dataframe_split": {"columns": ["a", "b"], "data": [3]}}', "row 0 is no list"),
        ('{"inputs": {"a": [1, 2], "b": [1]}}', "not the same number"),
        ('{"inputs": {"a": [1]}}', "column 'b' is missing"),
    ],
)
def test_what_is_wrong_with_json_is_named(body, named):
    with pytest.raises(DataError) as caught:
        parse_json(body.encode(), NUMBERS)
    assert named in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "no rows"),
        (b"a,b\n", "no rows"),
        (b"1\n", "row 0 holds 1 values"),
        (b"1,2,3\n", "row 0 holds 3 values"),
        (b"1,x\n", "row 0, column 'b': 'x'"),
        (b"1,inf\n", "column 'b': 'inf'"),
        (b"1,1_0\n", "column 'b': '1_0'"),
        (b"a,b\n1,2\n3\n", "row 1 holds 1 values, its header 2"),
        (b"\xff\xfe,1\n", "no CSV in UTF-8"),
        (b'1,"2\n', "no CSV"),
    ],
)
def test_what_is_wrong_with_csv_is_named(body, named):
    with pytest.raises(DataError) as caught:
        parse_csv(body, NUMBERS)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ([1, 2.5, "x", True], "column 'count': 2.5 is not a whole number"),
        ([1, 2, ["x"], True], "column 'name': ['x'] is not text"),
        ([1, 2, True, True], "column 'name': True is not text"),
        ([1, 2, "x", 2], "column 'late': 2 is not true or false"),
        ([1, 2, "x", "true"], "column 'late': 'true' is not true or false"),
        ([{}, 2, "x", True], "column 'size': {} is not a finite number"),
    ],
)
def test_a_value_of_another_type_is_named(row, named):
    with pytest.raises(DataError) as caught:
        parse_json(json.dumps({"instances": [row]}).encode(), MIXED)
    assert named in str(caught.value)


def test_whole_numbers_and_truth_values_are_checked_without_text_columns_too():
    schema = schema_of(count="int", late="bool")
    for row, named in (([1.5, 1], "count"), ([1, 3], "late")):
        with pytest.raises(DataError, match=f"row 1, column '{named}'"):
            parse_json(json.dumps({"instances": [[1, 0], row]}).encode(), schema)


def test_more_rows_than_a_request_may_hold_are_refused():
    body = json.dumps({"instances": [[1, 2]] * (MAX_ROWS + 1)}).encode()
    with pytest.raises(DataError, match=f"at most {MAX_ROWS}"):
        parse_json(body, NUMBERS)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "size", "columns", "data"]), inner, max_size=3)
    ),
    max_leaves=12,
)
bodies = values | st.dictionaries(
    st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params"]),
    values
    | st.fixed_dictionaries({"columns": st.just(["a", "b"]) | values, "data": values})
    | st.lists(st.lists(st.floats() | st.none() | st.text(max_size=2), min_size=2, max_size=2)),
    max_size=2,
)


@given(bodies)
def test_no_json_whatsoever_is_a_bug(body):
    for schema in (NUMBERS, MIXED, schema_of(a="float")):
        try:
            query = parse_json(json.dumps(body).encode(), schema)
        except DataError:
            continue
        assert query.batch.numbers.shape == (len(query.batch), len(schema.names))


@given(st.binary(max_size=60) | st.text(alphabet='a,b1.5"\n\r \x00', max_size=40).map(str.encode))
def test_no_bytes_whatsoever_are_a_bug(body):
    for parse in (parse_json, parse_csv):
        try:
            parse(body, MIXED)
        except DataError:
            continue


@given(st.lists(st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)), min_size=1))
def test_numbers_arrive_as_they_were_sent(rows):
    body = json.dumps({"instances": rows}).encode()
    assert parse_json(body, NUMBERS).batch.numbers.tolist() == [list(row) for row in rows]


def test_a_file_is_read_by_its_header(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("late,name,count,size,other\ntrue,x,3,1.5,?\nFalse,,,,?\n\n")
    batch = read_rows(path, MIXED)
    assert len(batch) == 2
    assert batch.texts == {2: ["x", None]}
    assert batch.numbers[0, [0, 1, 3]].tolist() == [1.5, 3, 1]
    assert batch.numbers[1, 3] == 0


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"a\n1\n", "column 'b' is missing"),
        (b"a,b\n1,x\n", "row 0, column 'b': 'x'"),
        (b"b,a\n1\n", "holds only 1 values"),
        (b"a,b\n\xff,1\n", "cannot be read"),
        (b"", "column 'a', 'b' is missing"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, content, named):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(path, NUMBERS)
    assert named in str(caught.value)
    assert str(path) in str(caught.value)
