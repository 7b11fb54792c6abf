"""The model server as a process: what clients, the platform and an operator see of it."""

import json
import math
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.fakes.model_servers import ModelServer, model_server
from tests.fakes.packages import (
    likelihood_onnx,
    line,
    line_package,
    linear_onnx,
    package,
    text_onnx,
)

pytestmark = pytest.mark.e2e

ROWS = [[1.0, 2.0], [0.5, -1.0]]
BODY = {"dataframe_split": {"columns": ["a", "b"], "data": ROWS}}


@pytest.fixture(scope="module", params=["onnx", "skops"])
def server(request, tmp_path_factory):
    """A healthy server of the linear model, in either format."""
    folder = tmp_path_factory.mktemp(request.param)
    with model_server(line_package(folder, request.param), folder / "server") as running:
        yield running


@pytest.fixture
def linear(tmp_path):
    return line_package(tmp_path)


def refusal_of(package_, folder, *options: str) -> tuple[int, str]:
    """Exit code and last words of a server that does not come up."""
    server = ModelServer(package_, folder, *options)
    try:
        return server.ended(), server.log.read_text()
    finally:
        server.close()


def test_it_predicts_and_says_which_version_did(server):
    answer = server.invoke(BODY)
    assert answer.status_code == 200
    assert answer.json() == {"predictions": pytest.approx([line(*row) for row in ROWS])}
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-model-slot"], answer.headers["x-model-version"]) == ("green", "7")


def test_it_takes_the_csv_of_sagemaker(server):
    answer = server.client.post(
        "/invocations", content="1,2\n0.5,-1\n", headers={"Content-Type": "text/csv; header=absent"}
    )
    assert answer.json()["predictions"] == pytest.approx([line(*row) for row in ROWS])


def test_it_says_that_it_is_alive(server):
    for path in ("/ping", "/health"):
        answer = server.client.get(path)
        assert answer.status_code == 200
        assert answer.json()["version"] == "7"


def test_a_bad_request_is_told_what_is_wrong_with_it(server):
    answer = server.invoke({"dataframe_split": {"columns": ["a"], "data": [[1]]}})
    assert answer.status_code == 400
    said = answer.json()
    assert said["error_code"] == "BAD_REQUEST"
    assert said["message"] == "column 'b' is missing"
    assert said["remedy"]


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/invocations", None, 405),
        ("POST", "/ping", "application/json", 405),
        ("POST", "/invocations", "application/xml", 415),
        ("HEAD", "/ping", None, 200),
    ],
)
def test_other_requests_are_refused_as_http_asks(server, method, path, content_type, status):
    headers = {"Content-Type": content_type} if content_type else {}
    assert server.client.request(method, path, headers=headers).status_code == status


def test_a_large_batch_gets_the_same_answers_as_small_ones(server):
    rows = [[at / 7, -at / 3] for at in range(20_000)]
    answer = server.invoke({"instances": rows})
    assert answer.json()["predictions"] == pytest.approx([line(*row) for row in rows])


def test_a_body_beyond_the_limit_is_refused(server):
    with httpx.Client(base_url=server.client.base_url, timeout=120) as client:
        client.headers["Content-Type"] = "application/json"
        content = b"[" + b" " * (17 * 1024 * 1024)
        # It may have answered and closed while the rest was still being sent.
        with suppress(httpx.WriteError):
            assert client.post("/invocations", content=content).status_code == 413
    assert server.client.get("/ping").status_code == 200


def test_requests_are_counted_for_prometheus(server):
    def counted(status: int) -> float:
        text = server.client.get("/metrics").text
        name = r'ml_pipeline_model_requests_total\{slot="green",status="%d",version="7"\} (\S+)'
        found = re.search(name % status, text)
        return float(found.group(1)) if found else 0.0

    good, bad = counted(200), counted(400)
    server.invoke(BODY)
    server.invoke({})
    server.client.get("/ping")
    assert (counted(200), counted(400)) == (good + 1, bad + 1)
    assert "ml_pipeline_model_request_seconds_bucket" in server.client.get("/metrics").text


def test_many_clients_at_once_each_get_their_own_answer(server):
    def ask(number: int) -> None:
        answer = httpx.post(
            f"{server.client.base_url}/invocations", json={"instances": [[number, 0]]}, timeout=120
        )
        assert answer.json()["predictions"] == pytest.approx([line(number, 0)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(64)))


def test_a_text_label_can_be_asked_for_as_text_position_or_probability(tmp_path):
    columns = [{"name": "name", "type": "string"}, {"name": "size", "type": "float"}]
    made = package(
        tmp_path, text_onnx(), columns=columns, task="classification", classes=["x", "y"],
        probability_labels=["y", "x"],
    )  # fmt: skip
    with model_server(made, tmp_path / "server") as server:
        for output, expected in (
            (None, ["y", "x"]),
            ("label", ["y", "x"]),
            ("position", [1.0, 0.0]),
            ("probability", [0.75, 0.5]),
        ):
            body = {"instances": [{"name": "y", "size": 0.25}, {"name": "x", "size": 0.5}]}
            body |= {"params": {"output": output}} if output else {}
            assert server.invoke(body).json() == {"predictions": expected}
        unknown = {"instances": [["z", 0.5]], "params": {"output": "position"}}
        answer = server.invoke(unknown)
        assert (answer.status_code, "'z'" in answer.json()["message"]) == (500, True)


@pytest.mark.parametrize("shape", [(None,), (None, 1), (None, 2)])
def test_a_classifier_of_the_projects_own_may_give_likelihoods_alone(tmp_path, shape):
    """The classes stand in the project's order, which here is not the alphabet's."""
    made = package(
        tmp_path, likelihood_onnx(shape), task="classification", classes=["paid", "defaulted"]
    )
    with model_server(made, tmp_path / "server") as server:
        for output, expected in (
            ("label", ["paid", "defaulted"]),
            ("position", [0, 1]),
            ("probability", [pytest.approx(1 / 9), pytest.approx(0.9)]),
        ):
            body = {"instances": [[-math.log(8), 0], [math.log(9), 0]]}
            answer = server.invoke(body | {"params": {"output": output}})
            assert answer.json() == {"predictions": expected}


def test_an_answer_the_model_has_not_is_the_askers_mistake(linear, tmp_path):
    with model_server(linear, tmp_path / "server") as server:
        answer = server.invoke(BODY | {"params": {"output": "probability"}})
        assert answer.status_code == 400
        assert "gives no probabilities" in answer.json()["message"]


def test_a_prediction_that_is_no_number_is_an_error(tmp_path):
    made = package(tmp_path, linear_onnx(constant=float("nan")))
    with model_server(made, tmp_path / "server") as server:
        answer = server.invoke(BODY)
        assert answer.status_code == 500
        assert "predicted nan for row 0" in answer.json()["message"]


def test_a_drill_fails_its_share_of_requests_and_no_health_check(linear, tmp_path):
    with model_server(linear, tmp_path / "server", "--chaos", "errors=0.25") as server:
        statuses = [server.invoke(BODY).status_code for _ in range(40)]
        assert statuses.count(500) == 10
        assert statuses.count(200) == 30
        assert all(server.client.get("/ping").status_code == 200 for _ in range(8))


def test_a_drill_holds_answers_back_and_no_health_check(linear, tmp_path):
    with model_server(linear, tmp_path / "server", "--chaos", "slow_ms=300") as server:
        answer = server.invoke(BODY)
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() >= 0.3
        url = f"{server.client.base_url}/invocations"
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(httpx.post, url, json=BODY, timeout=120) for _ in range(8)]
            assert server.client.get("/ping").status_code == 200
            answers = [one.result() for one in asked]
        assert {one.status_code for one in answers} == {200}


def test_a_drill_ends_the_process_after_so_many_answers(linear, tmp_path):
    with model_server(linear, tmp_path / "server", "--chaos", "crash_after=3") as server:
        for _ in range(3):
            assert server.invoke(BODY).status_code == 200
            assert server.client.get("/ping").status_code == 200
        with pytest.raises(httpx.HTTPError):
            server.invoke(BODY)
        assert server.ended() == 1


def test_a_terminated_server_answers_what_is_under_way(linear, tmp_path):
    with model_server(linear, tmp_path / "server", "--chaos", "slow_ms=1500") as server:
        url = server.client.base_url
        with socket.create_connection((url.host, url.port), timeout=120) as connection:
            body = json.dumps(BODY).encode()
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            connection.sendall(body)
            # Whatever answers this ping has read what was sent before it.
            assert server.client.get("/ping").status_code == 200
            server.terminate()
            answer = b""
            while received := connection.recv(4096):
                answer += received
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"predictions" in answer
        assert server.ended() == 0


def test_it_ends_with_its_parent_when_asked_to(linear, tmp_path):
    with model_server(linear, tmp_path / "server", "--exit-with-parent") as server:
        assert server.invoke(BODY).status_code == 200
        server.process.stdin.close()
        assert server.ended() == 0


def test_it_does_not_care_about_its_parent_when_not_asked_to(linear, tmp_path):
    with model_server(linear, tmp_path / "server") as server:
        server.process.stdin.close()
        assert server.invoke(BODY).status_code == 200


def test_a_package_that_was_tampered_with_is_not_served(linear, tmp_path):
    (linear / "model.onnx").write_bytes(linear_onnx(constant=2.0))
    code, said = refusal_of(linear, tmp_path / "server")
    assert code == 5
    assert "model.onnx is not the file that was packaged" in said
    assert "Traceback" not in said


def test_types_nobody_trusts_are_not_loaded(tmp_path):
    import skops.io
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(n_estimators=2).fit(ROWS, [1.0, 2.0])
    content = skops.io.dumps(model)
    made = package(tmp_path, content, format="skops")
    code, said = refusal_of(made, tmp_path / "refused")
    assert code == 5
    assert "not trusted" in said
    trust = [
        word for name in skops.io.get_untrusted_types(data=content)
        for word in ("--trusted-type", name)
    ]  # fmt: skip
    with model_server(made, tmp_path / "server", *trust) as server:
        assert server.invoke(BODY).json()["predictions"] == pytest.approx(model.predict(ROWS))


def test_a_port_that_is_taken_is_named(linear, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refusal_of(linear, tmp_path / "server", "--port", str(port))
    assert code == 7
    assert f"127.0.0.1:{port}" in said
    assert not (tmp_path / "server" / "ready.json").exists()


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (("--chaos", "errors=2"), 4, "errors=2"),
        (("--slot", "a b"), 2, "'a b' is no name"),
    ],
)
def test_options_that_cannot_be_meant_are_named(linear, tmp_path, options, code, named):
    found, said = refusal_of(linear, tmp_path / "server", *options)
    assert (found, named in said) == (code, True)


def test_the_ready_file_appears_whole_and_names_the_port(linear, tmp_path):
    with model_server(linear, tmp_path / "server") as server:
        assert json.loads(server.ready_file.read_text())["pid"] == server.process.pid
        assert [path.name for path in server.ready_file.parent.glob("*ready*")] == ["ready.json"]
