"""Files between a container and a bucket, and metrics to an Azure ML job's MLflow run."""

import json
import os
import ssl
from email.parser import BytesParser
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from ml_pipeline.domain.errors import ConfigurationError, DataError, PlatformRefusedError
from ml_pipeline.entry import moving, tracking
from tests.emulators.azureml_tls import certificate, server_context
from tests.fakes.http_server import Answer, ScriptedServer, _Handler
from tests.fakes.projects import write_files


class Bucket:
    """Cloud Storage's JSON API for one bucket, in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.status = 200

    def answer(self, asked) -> Answer:
        if self.status != 200:
            said = json.dumps({"error": {"code": self.status, "message": "no access"}})
            return Answer(status=self.status, body=said.encode())
        parts = urlsplit(asked.path)
        if parts.path.startswith("/upload/"):
            head = b"Content-Type: " + asked.headers["content-type"].encode() + b"\r\n\r\n"
            told, content = BytesParser().parsebytes(head + asked.body).get_payload()
            name = json.loads(told.get_payload())["name"]
            self.objects[name] = content.get_payload(decode=True)
            return _json({"name": name, "bucket": "b"})
        if parts.path.endswith("/o"):
            prefix = parse_qs(parts.query).get("prefix", [""])[0]
            names = [one for one in sorted(self.objects) if one.startswith(prefix)]
            return _json({"items": [{"name": one, "bucket": "b"} for one in names]})
        return Answer(body=self.objects[unquote(parts.path.rpartition("/o/")[2])])


def _json(content) -> Answer:
    return Answer(headers={"Content-Type": "application/json"}, body=json.dumps(content).encode())


@pytest.fixture
def bucket(monkeypatch):
    made = Bucket()
    monkeypatch.setattr(_Handler, "do_GET", _Handler.do_POST, raising=False)
    monkeypatch.setattr(_Handler, "parse_request", _with_a_length(_Handler.parse_request))
    server = ScriptedServer(made.answer)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    yield made
    server.close()


def _with_a_length(parse):
    def parsed(self) -> bool:
        done = parse(self)
        if done and "Content-Length" not in self.headers:
            self.headers["Content-Length"] = "0"
        return done

    return parsed


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Google's client keeps its connection
def test_a_folder_goes_into_a_bucket_and_comes_back(bucket, tmp_path):
    source = write_files(tmp_path / "made", {"model.onnx": "trees", "deep/rows.csv": "1"})
    moving.send(source, "gs://b/models/7/", mount=tmp_path / "no-mount")
    assert set(bucket.objects) == {"models/7/model.onnx", "models/7/deep/rows.csv"}
    bucket.objects["models/70/other"] = b"of another version"
    back = moving.bring("gs://b/models/7", tmp_path / "back", mount=tmp_path / "no-mount")
    found = sorted(one.relative_to(back).as_posix() for one in back.rglob("*") if one.is_file())
    assert found == ["deep/rows.csv", "model.onnx"]
    assert (back / "model.onnx").read_text() == "trees"
    one = moving.bring("gs://b/models/7/model.onnx", tmp_path / "one", mount=tmp_path / "no-mount")
    assert one.read_text() == "trees"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_not_in_the_bucket_or_leads_elsewhere_is_refused(bucket, tmp_path):
    with pytest.raises(DataError, match="gs://b/absent"):
        moving.bring("gs://b/absent", tmp_path / "x", mount=tmp_path / "no-mount")
    bucket.objects["m/../../outside"] = b"weeds"
    with pytest.raises(DataError, match="outside"):
        moving.bring("gs://b/m", tmp_path / "x", mount=tmp_path / "no-mount")
    bucket.status = 403
    with pytest.raises(PlatformRefusedError, match="gs://b/m"):
        moving.bring("gs://b/m", tmp_path / "x", mount=tmp_path / "no-mount")


def test_a_bucket_that_is_mounted_is_read_and_written_there(tmp_path):
    write_files(tmp_path, {"gcs/b/rows.csv": "1", "made/model": "trees"})
    found = moving.bring("gs://b/rows.csv", tmp_path / "x", mount=tmp_path / "gcs")
    assert found == tmp_path / "gcs" / "b" / "rows.csv"
    moving.send(tmp_path / "made", "gs://b/out", mount=tmp_path / "gcs")
    assert (tmp_path / "gcs" / "b" / "out" / "model").read_text() == "trees"


def test_a_place_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="s3://b/x"):
        moving.bring("s3://b/x", tmp_path / "x")


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """An MLflow server behind TLS; a function that sends to it, and what it was asked."""
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server = ScriptedServer(lambda asked: Answer(status=200 if "good" in asked.path else 503))
    server._server.get_request = _behind_tls(server._server, server_context(cert, key))

    def publish(path: str, scheme: str = "azureml") -> str:
        environ = {
            "MLFLOW_TRACKING_URI": f"{scheme}://127.0.0.1:{server.port}/{path}?",
            "MLFLOW_TRACKING_TOKEN": "token-1", "MLFLOW_RUN_ID": "run-1",
        }  # fmt: skip
        return tracking.publish({"mae": 4.5}, 1000, environ)

    yield publish, server.asked
    server.close()


def _behind_tls(server, context: ssl.SSLContext):
    def accepted():
        connection, address = server.socket.accept()
        return context.wrap_socket(connection, server_side=True), address

    return accepted


def test_metrics_are_in_the_jobs_own_run(mlflow):
    publish, asked = mlflow
    assert publish("good/mlflow/v1.0") == "1 metrics are in the MLflow run run-1"
    (one,) = asked
    assert one.path == "/good/mlflow/v1.0/api/2.0/mlflow/runs/log-batch"
    assert one.headers["authorization"] == "Bearer token-1"
    assert json.loads(one.body) == {
        "run_id": "run-1",
        "metrics": [{"key": "mae", "value": 4.5, "timestamp": 1000, "step": 0}],
    }


def test_a_server_that_does_not_take_them_is_said_and_no_error(mlflow):
    publish, asked = mlflow
    assert "503" in publish("bad")
    assert len(asked) == 3
    assert "not reached over https" in publish("good", scheme="http")
    assert "no MLflow run" in tracking.publish({"mae": 4.5}, 1000, {})


def test_a_folder_with_a_pipe_in_it_is_refused_and_the_pipe_named(tmp_path):
    (tmp_path / "left").mkdir()
    os.mkfifo(tmp_path / "left" / "odd")
    with pytest.raises(DataError, match="odd` is a named pipe"):
        moving.send(tmp_path / "left", str(tmp_path / "sent"))
