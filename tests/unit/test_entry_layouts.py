"""Which cloud a container is in, and what each says about places, ports and routes."""

import json

import pytest

from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import HyperparameterStyle
from ml_pipeline.entry.layouts import Layout, program_of, serving_places, training_places
from ml_pipeline.ports.containers import (
    COMMAND,
    HYPERPARAMETERS,
    ContainerJob,
    job_of,
    metric_line,
    metric_pattern,
    variables_of,
)
from ml_pipeline.ports.training import TrainingRequest
from tests.fakes.projects import write_files

PLACES = {"data": "/in", "output": "/out"}


@pytest.mark.parametrize(
    ("environ", "layout"),
    [
        ({"TRAINING_JOB_NAME": "j"}, Layout.SAGEMAKER),
        ({"SM_CHANNELS": "[]"}, Layout.SAGEMAKER),
        ({"AZUREML_RUN_ID": "j"}, Layout.AZUREML),
        ({"AIP_MODEL_DIR": "gs://b/m"}, Layout.VERTEX),
        ({"ML_PIPELINE_LAYOUT": "azureml", "AIP_MODEL_DIR": "gs://b/m"}, Layout.AZUREML),
    ],
)
def test_a_training_knows_its_cloud_by_the_clouds_own_variables(environ, layout):
    assert training_places(environ, **PLACES).layout is layout


@pytest.mark.parametrize(
    ("marks", "program"),
    [
        ({"AZUREML_MODEL_DIR": "/m"}, "serve"),
        ({"AZUREML_MODEL_DIR": "/m", "AZUREML_ARM_WORKSPACE_NAME": "w"}, "serve"),
        ({"AIP_STORAGE_URI": "gs://b/m", "AIP_HTTP_PORT": "8080"}, "serve"),
        ({"AZUREML_RUN_ID": "j", "AZUREML_ARM_WORKSPACE_NAME": "w"}, "train"),
        ({"AIP_MODEL_DIR": "gs://b/m", "CLOUD_ML_JOB_ID": "1"}, "train"),
        ({"SM_MODEL_DIR": "/opt/ml/model"}, None),
        ({"ML_PIPELINE_LAYOUT": "azureml"}, None),
    ],
)
def test_what_a_container_is_for_is_known_by_variables_of_one_kind_only(marks, program):
    """SageMaker sets its own for both, and says `train` or `serve`."""
    assert program_of(marks) == program


def test_sagemakers_tree_is_enough_to_know_it(tmp_path):
    root = write_files(tmp_path, {"input/config/hyperparameters.json": "{}"})
    places = training_places({"ML_PIPELINE_ROOT": str(root)})
    assert places.layout is Layout.SAGEMAKER
    assert places.data == str(root / "input" / "data" / "training")
    assert places.output == str(root / "model")
    assert places.failure == str(root / "output" / "failure")
    assert places.source == "/opt/project"


def test_the_source_channel_is_used_when_there_is_one(tmp_path):
    write_files(tmp_path, {"input/data/source/source.tar.gz": ""})
    environ = {"ML_PIPELINE_ROOT": str(tmp_path), "ML_PIPELINE_LAYOUT": "sagemaker"}
    assert training_places(environ).source == str(tmp_path / "input" / "data" / "source")


@pytest.mark.parametrize("places", [training_places, serving_places])
@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "no cloud"),
        ({"ML_PIPELINE_LAYOUT": "mars"}, "'mars'"),
        (
            {"AIP_MODEL_DIR": "gs://b", "AIP_HTTP_PORT": "1",
             "AZUREML_RUN_ID": "j", "AZUREML_MODEL_DIR": "/m"},
            "vertex and azureml",
        ),
    ],
)  # fmt: skip
def test_nothing_or_too_much_that_names_a_cloud_is_refused(places, environ, words, tmp_path):
    with pytest.raises(ConfigurationError, match=words):
        places({**environ, "ML_PIPELINE_ROOT": str(tmp_path / "absent")})


def test_arguments_win_over_variables_and_those_over_the_layout():
    environ = {"AIP_MODEL_DIR": "gs://b/m/", "ML_PIPELINE_DATA": "gs://b/rows.csv"}
    places = training_places(environ)
    assert (places.data, places.output) == ("gs://b/rows.csv", "gs://b/m/")
    assert places.failure == "gs://b/m/failure.txt"
    environ["ML_PIPELINE_OUTPUT"] = "gs://b/other"
    assert training_places(environ).output == "gs://b/other"
    assert training_places(environ, output="/here").output == "/here"


@pytest.mark.parametrize("name", ["ML_PIPELINE_DATA", "ML_PIPELINE_OUTPUT"])
def test_a_place_that_was_not_told_is_named(name):
    told = {"ML_PIPELINE_DATA": "/in", "ML_PIPELINE_OUTPUT": "/out"}
    del told[name]
    with pytest.raises(ConfigurationError, match=name):
        training_places({"AZUREML_RUN_ID": "j", **told})


def test_sagemakers_hyperparameters_carry_the_job_and_the_others_are_kept(tmp_path):
    given = {COMMAND: '["run", "{data}", "{output}"]', "depth": "3", "fast": "true"}
    write_files(tmp_path, {"input/config/hyperparameters.json": json.dumps(given)})
    variables = training_places({"ML_PIPELINE_ROOT": str(tmp_path), COMMAND: "no"}).variables
    assert variables[COMMAND] == given[COMMAND]
    assert json.loads(variables[HYPERPARAMETERS]) == {"depth": "3", "fast": True}


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_hyperparameters_that_cannot_be_read_are_refused(tmp_path, text):
    write_files(tmp_path, {"input/config/hyperparameters.json": text})
    with pytest.raises(ConfigurationError, match=r"hyperparameters\.json"):
        training_places({"ML_PIPELINE_ROOT": str(tmp_path)})


def test_a_request_survives_the_way_into_a_container(tmp_path):
    request = TrainingRequest(
        project="shop", run_id="r", attempt=1, source=tmp_path, data=tmp_path / "rows.csv",
        argv=("python", "t.py", "{data}", "{output}", "a b", 'say "hello"\n', "ü"),
        artifact="deep/model.skops", metrics="scores.json", time_limit_s=1,
        hyperparameters={"depth": 3, "rate": 0.1, "fast": True, "kind": "a"},
        variables={"CITY": 'Zürich "1"', "EMPTY": ""},
    )  # fmt: skip
    assert job_of(variables_of(request)) == ContainerJob(
        argv=request.argv,
        artifact=request.artifact,
        metrics=request.metrics,
        hyperparameters=request.hyperparameters,
        style=None,
        variables=request.variables,
    )


def test_a_style_says_that_hyperparameters_are_still_to_be_appended(tmp_path):
    variables = {COMMAND: '["x"]', "ML_PIPELINE_ARTIFACT": "m", "ML_PIPELINE_METRICS": "s"}
    job = job_of({**variables, "ML_PIPELINE_HYPERPARAMETER_STYLE": "assigned"})
    assert job.style is HyperparameterStyle.ASSIGNED


@pytest.mark.parametrize("value", [4.5, -1e-300, 1e300, 0.1 + 0.2, 0.0])
def test_a_metric_is_found_in_the_log_to_its_last_digit(value):
    import re

    found = re.search(metric_pattern("m.a(e)"), f"noise {metric_line('m.a(e)', value)} noise")
    assert found is not None
    assert float(found[1]) == value
    assert re.search(metric_pattern("m.a(e)"), metric_line("mXa(e)", value)) is None


def test_what_each_cloud_serves_where(tmp_path):
    sagemaker = serving_places({"ML_PIPELINE_ROOT": str(tmp_path), "SM_MODEL_DIR": "/x"})
    assert (sagemaker.model, sagemaker.port) == (str(tmp_path / "model"), 8080)
    assert sagemaker.routes == {}
    azure = serving_places({"AZUREML_MODEL_DIR": "/models/eta/3"})
    assert (azure.model, azure.port) == ("/models/eta/3", 5001)
    assert azure.routes == {"/": "/ping", "/score": "/invocations"}
    vertex = serving_places(
        {
            "AIP_STORAGE_URI": "gs://b/m",
            "AIP_HTTP_PORT": "9090",
            "AIP_HEALTH_ROUTE": "/v1/health",
            "AIP_PREDICT_ROUTE": "/v1/predict",
            "AIP_DEPLOYED_MODEL_ID": "123",
            "ML_PIPELINE_VERSION": "7",
        }
    )
    assert (vertex.model, vertex.port) == ("gs://b/m", 9090)
    assert vertex.routes == {"/v1/health": "/ping", "/v1/predict": "/invocations"}
    assert (vertex.slot, vertex.version) == ("123", "7")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"AIP_HTTP_PORT": "8080"}, "AIP_HEALTH_ROUTE"),
        (
            {"AIP_HTTP_PORT": "8080", "AIP_HEALTH_ROUTE": "/h", "AIP_PREDICT_ROUTE": "/p"},
            "AIP_STORAGE_URI",
        ),
        ({"ML_PIPELINE_LAYOUT": "azureml"}, "AZUREML_MODEL_DIR"),
        ({"SAGEMAKER_BIND_TO_PORT": "80800"}, "'80800'"),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "'http'"),
    ],
)
def test_a_variable_a_cloud_always_sets_is_named_when_it_is_not_there(environ, words):
    with pytest.raises(ConfigurationError, match=words):
        serving_places(environ)
