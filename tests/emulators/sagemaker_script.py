"""Script mode on the SageMaker emulator."""

import warnings
from importlib import import_module
from pathlib import Path

from ml_pipeline.ports.packing import packed
from tests.emulators.sagemaker_driver import parts_on, sagemaker_training

#: An image as AWS names its own; `Job._image` of the emulator says what is run in its place.
SCRIPT_MODE = {
    "script_mode": True,
    "training_image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6-cpu-py312",
}


def sagemaker_script_training(folder: Path) -> object:
    """`Case` of the contract of training platforms; it needs the extra `sagemaker-script`."""
    with warnings.catch_warnings():  # its docstrings hold escapes that Python warns of
        warnings.simplefilter("ignore")
        import_module("sagemaker.core.resources")
    return sagemaker_training(folder, **SCRIPT_MODE)


def stored(case, name: str):
    """The training platform, a request of the other way for a job, and where its files lie."""
    training = parts_on(case.emulator.url, **SCRIPT_MODE).training
    asked, place = case.request(), f"ml-pipeline/jobs/{name}"
    training._bucket.upload(asked.data, f"{place}/training/rows.csv")
    with packed(asked.source) as code:
        training._bucket.upload(code, f"{place}/source/source.tar.gz")
    return training, training._order(name, f"{place}/training/rows.csv", place, asked), place
