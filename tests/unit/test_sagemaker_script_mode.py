"""What script mode asks of SageMaker, and what it refuses before it asks."""

import os
from dataclasses import replace

import pytest

from ml_pipeline.adapters.sagemaker.client import Clients
from ml_pipeline.adapters.sagemaker.script_mode import ScriptMode
from ml_pipeline.adapters.sagemaker.training import SageMakerTraining
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.cloud_sagemaker import SageMakerPolicy
from ml_pipeline.ports.packing import packed
from ml_pipeline.ports.training import TrainingRequest
from tests.emulators.sagemaker_spec import MODEL, faults
from tests.fakes.clock import FakeClock
from tests.fakes.fresh_python import said
from tests.fakes.projects import write_files

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6-cpu-py312"
POLICY = SageMakerPolicy(
    region="us-east-1",
    role="arn:aws:iam::123456789012:role/pipeline",
    bucket="shop-models",
    image="shop",
    script_mode=True,
    training_image=IMAGE,
)


@pytest.fixture
def request_(tmp_path) -> TrainingRequest:
    source = write_files(tmp_path / "p", {"src/train.py": "print(1)", "needs.txt": "numpy"})
    return TrainingRequest(
        project="shop",
        run_id="run-1",
        attempt=1,
        source=source,
        data=write_files(tmp_path, {"rows.csv": "a\n1\n"}) / "rows.csv",
        argv=("python", "src/train.py", "{data}", "{output}"),
        artifact="model.skops",
        metrics="metrics.json",
        time_limit_s=300,
    )


def script_mode(**more: object) -> ScriptMode:
    policy = POLICY.model_copy(update=more)
    return ScriptMode(Clients(policy, FakeClock()), policy)


def orders(request: TrainingRequest, **more: object) -> tuple[dict, dict]:
    """The request of the other way, and that of script mode."""
    policy = POLICY.model_copy(update=more)
    training = SageMakerTraining(Clients(policy, FakeClock()), policy, FakeClock())
    plain = training._order("shop-1", "ml-pipeline/rows.csv", "ml-pipeline/jobs/shop-1", request)
    return plain, script_mode(**more).order(plain, "ml-pipeline/jobs/shop-1")


def checked(request: TrainingRequest, **more: object) -> None:
    with packed(request.source) as archive:
        script_mode(**more).check(request, archive)


@pytest.mark.parametrize("more", [{}, {"requirements": "needs.txt", "spot": True}])
def test_the_request_is_one_that_awss_own_model_allows(request_, more):
    _, order = orders(request_, **more)
    shape = MODEL.operation_model("CreateTrainingJob").input_shape
    assert list(faults(shape, order, "CreateTrainingJob")) == []


def test_only_how_the_container_starts_and_what_it_is_told_differ(request_):
    plain, order = orders(request_, requirements="needs.txt")
    assert order["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    start = order["AlgorithmSpecification"].pop("ContainerArguments")[1]
    assert order["AlgorithmSpecification"].pop("ContainerEntrypoint") == ["/bin/bash"]
    added = order["InputDataConfig"].pop()
    assert f"/opt/ml/input/data/{added['ChannelName']}/script_mode.py" in start
    assert order["HyperParameters"].pop("ML_PIPELINE_REQUIREMENTS") == "needs.txt"
    assert order == plain


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ({"script_mode": True}, "training_image", "must be set in script mode"),
        ({"training_image": IMAGE}, "training_image", "nothing without 'script_mode = true'"),
        ({"requirements": "needs.txt"}, "requirements", "nothing without 'script_mode = true'"),
    ],
)
def test_settings_that_do_not_go_together_are_named(given, key, words):
    policy = SageMakerPolicy(role=POLICY.role, bucket="shop-models", image="shop", **given)
    ((named, message),) = policy.lacking()
    assert named == key
    assert words in message


@pytest.mark.parametrize("name", ["../needs.txt", "/etc/passwd", "--index-url=x", "a/../b", ""])
def test_requirements_lie_in_the_project(name):
    with pytest.raises(ValueError, match="requirements"):
        SageMakerPolicy(requirements=name)


def test_what_is_there_and_small_enough_is_sent(request_):
    checked(request_, requirements="needs.txt")
    checked(replace(request_, argv=("./train.sh", "{data}", "{output}")))


def test_without_the_package_script_mode_says_how_to_get_it():
    code = """
import sys
sys.modules["sagemaker"] = None
from ml_pipeline.adapters.sagemaker import script_mode
from ml_pipeline.domain.errors import ConfigurationError
try:
    script_mode.require_package()
except ConfigurationError as error:
    print(error, error.remedy)
"""
    told = said(code)
    assert "'sagemaker.script_mode' needs a package that is not installed" in told
    assert "uv tool install '/path/to/ml-pipeline[sagemaker-script]'" in told


def test_a_project_that_packs_too_large_is_refused_with_its_size(request_):
    (request_.source / "rows.bin").write_bytes(os.urandom(1_200_000))
    with pytest.raises(ConfigurationError, match=r"packs to 1\.2 MB.*source_limit_mb' = 1") as told:
        checked(request_, source_limit_mb=1)
    assert "raise the limit" in told.value.remedy


def test_a_script_or_requirements_that_are_not_sent_are_named_with_their_key(request_):
    with pytest.raises(ConfigurationError, match=r"'train\.command' names 'train\.py'"):
        checked(replace(request_, argv=("python", "train.py", "{data}", "{output}")))
    with pytest.raises(ConfigurationError, match=r"'sagemaker\.requirements' names 'other\.txt'"):
        checked(request_, requirements="other.txt")
