"""Model containers laid out as three clouds lay them out; real server processes."""

import json
import os
import shutil
import signal
import subprocess
import sys

import httpx
import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.entry.serve import package_below
from tests.fakes.packages import line, line_package
from tests.fakes.processes import eventually
from tests.fakes.projects import caller, write_files

ROWS = [{"a": 1.0, "b": 2.0}, {"a": 0.0, "b": 0.5}]
EXPECTED = [line(1.0, 2.0), line(0.0, 0.5)]


@pytest.fixture
def bundle(tmp_path):
    """A registered bundle: a package, and what lies beside it."""
    made = write_files(tmp_path / "made", {"bundle/baseline.json": "{}"})
    line_package(made / "bundle")
    (made / "bundle" / "model").unlink()
    return made / "bundle"


@pytest.fixture
def served(tmp_path):
    """Starts the entry program; a client for it."""
    started, clients = [], []

    def start(*words, **environ):
        ready = tmp_path / "ready.json"
        process = subprocess.Popen(
            [sys.executable, "-m", "ml_pipeline.entry", "serve", *words,
             "--host", "127.0.0.1", "--port", "0", "--ready-file", str(ready)],
            env={**caller(), **environ},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started.append(process)
        assert eventually(lambda: ready.exists() or process.poll() is not None)
        if process.poll() is not None:
            return None, process
        port = json.loads(ready.read_text())["port"]
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        return clients[-1], process

    yield start
    for client in clients:
        client.close()
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def test_on_sagemaker_a_bundle_answers_pings_and_invocations(served, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "ml" / "model")
    client, process = served(ML_PIPELINE_ROOT=str(tmp_path / "ml"), ML_PIPELINE_SLOT="v7")
    assert client.get("/ping").status_code == 200
    answer = client.post("/invocations", json={"dataframe_records": ROWS})
    assert answer.json() == {"predictions": EXPECTED}
    assert answer.headers["X-Model-Slot"] == "v7"
    assert client.post("/score", json={"instances": ROWS}).status_code == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_on_azure_a_model_may_lie_one_folder_down_and_is_scored(served, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "eta" / "3" / "bundle")
    client, _ = served(AZUREML_MODEL_DIR=str(tmp_path / "eta" / "3"))
    assert client.get("/").status_code == 200
    body = {"dataframe_split": {"columns": ["b", "a"], "data": [[2.0, 1.0]]}}
    assert client.post("/score", json=body).json() == {"predictions": EXPECTED[:1]}


def test_on_vertex_instances_become_predictions_at_the_routes_it_names(served, bundle, tmp_path):
    shutil.copytree(bundle / "package", tmp_path / "gcs" / "bucket" / "models" / "7")
    client, _ = served(
        ML_PIPELINE_ROOT=str(tmp_path / "gcs"),
        AIP_STORAGE_URI="gs://bucket/models/7",
        AIP_HTTP_PORT="8080",
        AIP_HEALTH_ROUTE="/v1/endpoints/1/deployedModels/2",
        AIP_PREDICT_ROUTE="/v1/endpoints/1/deployedModels/2:predict",
        AIP_DEPLOYED_MODEL_ID="2",
    )
    assert client.get("/v1/endpoints/1/deployedModels/2").status_code == 200
    route = "/v1/endpoints/1/deployedModels/2:predict"
    answer = client.post(route, json={"instances": ROWS, "parameters": {}})
    assert answer.json() == {"predictions": EXPECTED}
    assert answer.headers["X-Model-Slot"] == "2"


def test_a_model_that_was_changed_on_its_way_is_not_served(served, bundle, tmp_path):
    (bundle / "package" / "model.onnx").write_bytes(b"weeds")
    client, process = served(ML_PIPELINE_LAYOUT="sagemaker", ML_PIPELINE_MODEL=str(bundle))
    assert client is None
    assert process.returncode == 5
    assert "model.onnx" in process.stderr.read()


def test_a_container_without_a_model_says_what_is_there(served, tmp_path):
    write_files(tmp_path / "ml", {"model/model.pkl": ""})
    client, process = served(ML_PIPELINE_ROOT=str(tmp_path / "ml"))
    assert client is None
    assert process.returncode == 5
    said = process.stderr.read()
    assert "model.pkl" in said
    assert "Traceback" not in said


def test_of_two_packages_none_is_chosen(bundle, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(bundle, tmp_path / "both" / name)
    with pytest.raises(DataError, match="holds 2"):
        package_below(tmp_path / "both")


PROGRAM = [sys.executable, "-m", "ml_pipeline.entry"]


@pytest.mark.parametrize("words", [[], ["tarin"], ["--port", "0"]])
def test_the_first_word_is_train_or_serve_where_no_cloud_says_it(words):
    done = subprocess.run(
        [*PROGRAM, *words], env=caller(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "train or serve" in done.stderr


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"AZUREML_MODEL_DIR": "/absent"}, "there is nothing at /absent"),
        ({"AZUREML_RUN_ID": "job-1"}, "ML_PIPELINE_OUTPUT is not set"),
    ],
)
def test_without_a_word_the_clouds_own_marks_choose_the_program(marks, said):
    """Azure ML starts a deployment's image by its entry point and gives no word."""
    done = subprocess.run(
        PROGRAM, env={**caller(), "ML_PIPELINE_LAYOUT": "azureml", **marks},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said in done.stderr
    assert "train or serve" not in done.stderr


#: Stands in front of every import and lets nothing through that the image would not hold.
GUARD = """
import sys, os, runpy
allowed = set(os.environ["ALLOWED"].split())
class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if not (top in allowed or top in sys.stdlib_module_names or top.startswith("_sysconfig")):
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Guard())
sys.argv = sys.argv[1:]
runpy.run_module("ml_pipeline.entry", run_name="__main__", alter_sys=True)
"""


def _in_the_image() -> str:
    """Modules of the distributions the extra `container` brings, and of what those need."""
    from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

    from packaging.requirements import Requirement

    todo, seen = [Requirement("ml-pipeline[container]")], set()
    while todo:
        asked = todo.pop()
        for extra in ("", *asked.extras):
            if (asked.name, extra) in seen:
                continue
            seen.add((asked.name, extra))
            try:
                needs = distribution(asked.name).requires or []
            except PackageNotFoundError:
                continue
            for one in map(Requirement, needs):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    todo.append(one)  # noqa: PERF401 - two conditions read better apart
    names = {name.lower().replace("_", "-") for name, _ in seen}
    return " ".join(
        module
        for module, owners in packages_distributions().items()
        if names & {owner.lower().replace("_", "-") for owner in owners}
    )


@pytest.fixture(scope="module")
def guarded():
    environ = {**caller(), "ALLOWED": _in_the_image() + " ml_pipeline"}

    def run(*words, **more):
        return subprocess.run(
            [sys.executable, "-c", GUARD, "ml_pipeline.entry", *words],
            env={**environ, **more}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_the_extra_of_the_image_is_enough_to_train(guarded, tmp_path):
    from tests.fakes.containers import AzureMl, told

    container = AzureMl(tmp_path, told())
    more = {"ML_PIPELINE_SOURCE": str(container.source)}
    prefix = {"ML_PIPELINE_PROJECT_ENV": os.path.dirname(os.path.dirname(sys.executable))}  # noqa: PTH120
    done = guarded("train", *container.words, **container.environ, **more, **prefix)
    assert done.returncode == 0, done.stderr
    assert (container.output / "metrics.json").exists()


@pytest.mark.parametrize("format_", ["onnx", "skops"])
def test_the_extra_of_the_image_is_enough_to_serve(guarded, tmp_path, format_):
    """Everything is loaded before the port is opened, and no port is 1 of a far host."""
    package = line_package(tmp_path, format_)
    done = guarded(
        "serve", "--host", "192.0.2.1", ML_PIPELINE_LAYOUT="sagemaker",
        ML_PIPELINE_MODEL=str(package),
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "nothing can listen on 192.0.2.1:8080" in done.stderr


def test_the_guard_of_these_tests_lets_no_other_package_through(guarded):
    allowed = _in_the_image().split()
    assert {"onnxruntime", "google"} <= set(allowed)
    assert not {"polars", "boto3", "mlflow"} & set(allowed)
