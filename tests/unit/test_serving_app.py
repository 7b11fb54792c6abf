"""The model server's answers without a socket: no body whatsoever is a bug."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.chaos import Chaos
from ml_pipeline.serving.app import ModelApp
from ml_pipeline.serving.http import Request, Response
from ml_pipeline.serving.servable import load_servable
from tests.fakes.packages import likelihood_onnx, line_package, package, text_onnx
from tests.unit.test_serving_requests import bodies

COLUMNS = [{"name": "a", "type": "float"}, {"name": "b", "type": "string"}]


@pytest.fixture(scope="module", params=["onnx", "skops", "text"])
def app(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "text":
        columns = [{"name": "name", "type": "string"}, {"name": "size", "type": "float"}]
        made = package(folder, text_onnx(), columns=columns, task="classification")
    else:
        made = line_package(folder, request.param)
    return ModelApp(load_servable(made), slot="green", version="7", chaos=Chaos())


def answer(app: ModelApp, body: bytes, content_type: str = "application/json") -> Response:
    async def ask() -> Response:
        found = app(Request("POST", "/invocations", content_type, body))
        return found if isinstance(found, Response) else await found

    return asyncio.run(ask())


def check(response: Response) -> None:
    said = json.loads(response.body)
    if response.status == 200:
        assert set(said) in ({"predictions"}, {"predictions", "classes"})
    else:
        assert response.status == 400, said
        assert said["remedy"]


@given(bodies)
def test_any_json_is_answered(app, body):
    check(answer(app, json.dumps(body).encode()))


@given(
    st.lists(
        st.lists(
            st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2
        )
    )
)
def test_any_rows_are_answered(app, rows):
    response = answer(app, json.dumps({"instances": rows}).encode())
    check(response)
    if response.status == 200:
        assert len(json.loads(response.body)["predictions"]) == len(rows)


@given(st.binary(max_size=100), st.sampled_from(["text/csv", "application/json", ""]))
def test_any_bytes_are_answered(app, body, content_type):
    check(answer(app, body, content_type))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ([1, None], "row 1, column 'b' has no value"),
        ([1e308, 1], "row 1, column 'a' is 1e+308"),
    ],
)
@pytest.mark.parametrize("format_", ["onnx", "skops"])
def test_a_row_the_model_cannot_take_is_the_clients_fault(tmp_path, row, named, format_):
    made = load_servable(line_package(tmp_path, format_))
    app = ModelApp(made, slot="green", version="7", chaos=Chaos())
    response = answer(app, json.dumps({"instances": [[1, 1], row]}).encode())
    assert response.status == 400
    assert named in json.loads(response.body)["message"]


def test_a_drilled_crash_ends_the_process(tmp_path):
    ends: list[int] = []
    app = ModelApp(
        load_servable(line_package(tmp_path)), slot="green", version="7",
        chaos=Chaos(crash_after=1), die=ends.append,
    )  # fmt: skip
    body = b'{"instances": [[1, 2]]}'
    assert answer(app, body).status == 200
    assert ends == []
    answer(app, body)
    assert ends == [1]


def _asked(app: ModelApp, rows: list, output: str) -> Response:
    body = {"instances": rows, "params": {"output": output}}
    return answer(app, json.dumps(body).encode())


@pytest.mark.parametrize("classes", [["x", "y"], ["y", "x"]])
def test_every_class_is_answered_with_its_probability_in_the_projects_order(tmp_path, classes):
    """The model names no order of its own: its columns are x and y, as the alphabet has them."""
    columns = [{"name": "name", "type": "string"}, {"name": "size", "type": "float"}]
    made = package(
        tmp_path, text_onnx(), columns=columns, task="classification", classes=classes,
        probability_labels=["x", "y"],
    )  # fmt: skip
    app = ModelApp(load_servable(made), slot="green", version="7", chaos=Chaos())
    said = json.loads(_asked(app, [["y", 0.75]], "probabilities").body)
    assert said["classes"] == classes
    assert said["predictions"][0][classes.index("y")] == 0.75
    assert json.loads(_asked(app, [["y", 0.75]], "probability").body)["predictions"] == [
        0.75 if classes[1] == "y" else 0.25
    ]


def test_a_model_of_three_classes_says_how_to_ask_for_all_of_them(tmp_path):
    made = package(
        tmp_path, likelihood_onnx([None, 3]), task="classification", classes=["c", "a", "b"]
    )
    app = ModelApp(load_servable(made), slot="green", version="7", chaos=Chaos())
    refused = _asked(app, [[0.0, 0.0]], "probability")
    assert refused.status == 400
    assert "'probabilities'" in json.loads(refused.body)["remedy"]
    said = json.loads(_asked(app, [[0.0, 0.0]], "probabilities").body)
    assert said == {"predictions": [[0.25, 0.5, 0.25]], "classes": ["c", "a", "b"]}
    assert json.loads(_asked(app, [[0.0, 0.0]], "label").body)["predictions"] == ["a"]
