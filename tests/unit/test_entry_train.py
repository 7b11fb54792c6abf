"""Trainings in containers laid out as three clouds lay them out."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile

import pytest

from tests.fakes.containers import ROWS, AzureMl, SageMaker, Vertex, told
from tests.fakes.processes import eventually, lives
from tests.fakes.projects import write_files

CLOUDS = {"sagemaker": SageMaker, "azureml": AzureMl, "vertex": Vertex}


@pytest.fixture(params=sorted(CLOUDS))
def laid(request, tmp_path):
    """Makes the container of one cloud; every test here runs on all three."""

    def make(*behaviour: str, **more: str):
        return CLOUDS[request.param](tmp_path, {**told(*behaviour), **more})

    return make


def test_what_the_training_left_lies_where_the_cloud_collects_it(laid):
    container = laid()
    ended = container.train()
    assert ended.code == 0, ended.err
    assert (container.output / "deep" / "model.skops").read_text() == ROWS
    assert json.loads((container.output / "metrics.json").read_text()) == {"mae": 4.5}
    assert (container.output / "scores.json").exists()
    assert not container.failure.exists()
    assert "rows: 2" in ended.out


def test_metrics_are_printed_so_that_a_regular_expression_finds_them(laid):
    ended = laid("succeed", '{"mae": 0.1, "r2": -2e-9}').train()
    assert re.findall(r"^ml-pipeline metric (\w+)=([^;]+);$", ended.out, re.MULTILINE) == [
        ("mae", "0.1"),
        ("r2", "-2e-09"),
    ]


def test_a_failed_training_says_why_and_hands_nothing_over(laid):
    container = laid("fail")
    ended = container.train(SHOP_TOKEN="hunter2-hunter2")
    assert ended.code == 1
    reason = container.failure.read_text()
    assert reason.startswith("the training ended with exit code 1\n")
    assert reason.endswith("the training says why ***")
    assert not (container.output / "unfinished").exists()


def test_a_training_that_was_killed_ends_as_a_shell_would_say(laid):
    container = laid("crash")
    assert container.train().code == 128 + signal.SIGKILL
    assert "137" in container.failure.read_text()


@pytest.mark.parametrize("behaviour", ["no-model", "no-metrics"])
def test_what_is_missing_is_said_and_left_to_the_pipeline_to_judge(laid, behaviour):
    container = laid(behaviour)
    ended = container.train()
    assert ended.code == 0
    assert {"no-model": "no model 'deep/model.skops'", "no-metrics": "scores.json"}[
        behaviour
    ] in ended.err
    assert (container.output / "metrics.json").exists() == (behaviour == "no-model")


def test_a_metric_that_is_no_number_comes_over_as_it_was_and_is_not_printed(laid):
    container = laid("succeed", '{"mae": NaN}')
    ended = container.train()
    assert ended.code == 0
    assert (container.output / "metrics.json").read_text() == '{"mae": NaN}'
    assert "ml-pipeline metric" not in ended.out
    assert "mae" in ended.err


def test_a_stop_reaches_the_training_and_what_left_its_group(laid):
    container = laid("hang")
    process = container.start("train")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("hangs"):
            break
    started = [int(word) for word in line.split()[1:]]
    assert all(lives(pid) for pid in started)
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(timeout=120) == 128 + signal.SIGTERM
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert eventually(lambda: not any(lives(pid) for pid in started))
    assert "stopped by SIGTERM" in said
    assert not container.failure.exists()
    assert not (container.output / "unfinished").exists()


def test_a_child_that_outlives_the_training_keeps_nothing_waiting(laid):
    assert laid("quiet-child").train().code == 0


def test_hyperparameters_are_appended_only_when_a_style_says_how(laid):
    shown = {"ML_PIPELINE_HYPERPARAMETERS": '{"max_depth": 3, "fast": true}'}
    container = laid("words", **shown)
    container.train()
    assert (container.output / "words.txt").read_text() == ""
    container = laid("words", **shown, ML_PIPELINE_HYPERPARAMETER_STYLE="dashed")
    container.train()
    assert (container.output / "words.txt").read_text() == "--max-depth 3 --fast"


def test_code_that_comes_with_the_job_is_used_instead_of_the_images(laid, tmp_path):
    container = laid()
    archive = tmp_path / "code" / "source.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(container.source / "t.py", arcname="t.py")
    (container.source / "t.py").write_text("raise SystemExit('the code of the image')")
    assert container.train().code == 1
    assert container.train("--source", str(archive)).code == 0
    assert container.train("--source", str(archive.parent)).code == 0


def test_modules_that_come_with_the_job_hide_those_the_image_installed(laid, tmp_path):
    """The image's environment names `/opt/project/src` in a `.pth`, as an editable install does."""
    container = laid()
    image = write_files(tmp_path / "image", {"src/shop.py": "raise SystemExit('the image')"})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (packages / "shop.pth").write_text(str(image / "src"))
    code = (container.source / "t.py").read_text()
    write_files(container.source, {"src/shop.py": "", "t.py": f"import shop\n{code}"})
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(container.source, arcname=".")
    ended = container.train("--source", str(archive), ML_PIPELINE_PROJECT_ENV=str(tmp_path / "env"))
    assert ended.code == 0, ended.err


def test_a_path_for_modules_that_the_project_sets_is_kept(laid, tmp_path):
    theirs = write_files(tmp_path / "theirs", {"shop_lib.py": ""})
    container = laid(ML_PIPELINE_VARIABLES=json.dumps({"PYTHONPATH": str(theirs)}))
    code = (container.source / "t.py").read_text()
    write_files(container.source, {"t.py": f"import shop_lib\n{code}"})
    assert container.train().code == 0


def test_an_archive_that_leads_elsewhere_is_refused(laid, tmp_path):
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(os.devnull, arcname="../outside")
    container = laid()
    ended = container.train("--source", str(archive))
    assert ended.code == 5
    assert "outside" in container.failure.read_text()


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"ML_PIPELINE_COMMAND": "python t.py"}, 4, "ML_PIPELINE_COMMAND"),
        ({"ML_PIPELINE_COMMAND": "[]"}, 4, "empty"),
        ({"ML_PIPELINE_ARTIFACT": ""}, 4, "ML_PIPELINE_ARTIFACT"),
        ({"ML_PIPELINE_COMMAND": '["no-such-program", "{data}"]'}, 4, "no-such-program"),
        ({"ML_PIPELINE_COMMAND": '["python", "{rows}"]'}, 4, "{rows}"),
        ({"ML_PIPELINE_HYPERPARAMETERS": "[1]"}, 4, "ML_PIPELINE_HYPERPARAMETERS"),
        ({"ML_PIPELINE_HYPERPARAMETER_STYLE": "shouted"}, 4, "shouted"),
    ],
)
def test_a_job_that_was_told_wrong_things_says_which(laid, wrong, code, words):
    container = laid(**wrong)
    ended = container.train()
    assert ended.code == code
    assert words in container.failure.read_text()
    assert "Traceback" not in ended.err


def test_data_that_is_not_there_or_is_not_one_file_is_refused(laid, tmp_path):
    container = laid()
    assert container.train("--data", str(tmp_path / "absent")).code == 5
    assert "absent" in container.failure.read_text()
    assert container.train("--data", str(tmp_path)).code == 5
    assert "exactly one file" in container.failure.read_text()
