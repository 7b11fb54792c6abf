"""Script mode's program, run by a Python with nothing of the pipeline in SageMaker's layout."""

import ast
import io
import json
import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ml_pipeline.entry import script_mode
from tests.fakes.containers import ROWS, SageMaker, told
from tests.fakes.processes import eventually, lives
from tests.fakes.projects import caller

PROGRAM = Path(script_mode.__file__)


class ScriptMode(SageMaker):
    """The tree below /opt/ml with the code and the program in channels, in a bare Python."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.channel = self.folder / "ml" / "input" / "data" / "source"
        self.channel.mkdir(parents=True)
        with tarfile.open(self.channel / "source.tar.gz", "w:gz") as tar:
            tar.add(self.source / "t.py", arcname="t.py")
        self.program = self.folder / "ml" / "input" / "data" / "script" / PROGRAM.name
        self.program.parent.mkdir()
        self.program.write_bytes(PROGRAM.read_bytes())

    def start(self, *words: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys._base_executable, "-I", str(self.program)],
            env={**caller(), **self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )


@pytest.fixture
def laid(tmp_path):
    """Makes the container."""

    def make(*behaviour: str, **more: str) -> ScriptMode:
        words = told(*behaviour)
        argv = json.loads(words["ML_PIPELINE_COMMAND"])
        return ScriptMode(
            tmp_path,
            # a Python may have no program that is called just `python`
            {**words, "ML_PIPELINE_COMMAND": json.dumps([sys._base_executable, *argv[1:]]), **more},
        )

    return make


def test_what_the_training_left_lies_where_sagemaker_collects_it(laid):
    container = laid("succeed", '{"mae": 0.1, "r2": -2e-9, "note": "x"}')
    ended = container.train()
    assert ended.code == 0, ended.err
    assert (container.output / "deep" / "model.skops").read_text() == ROWS
    assert json.loads((container.output / "metrics.json").read_text())["mae"] == 0.1
    assert (container.output / "scores.json").exists()
    assert re.findall(r"^ml-pipeline metric (\w+)=([^;]+);$", ended.out, re.MULTILINE) == [
        ("mae", "0.1"),
        ("r2", "-2e-09"),
    ]
    assert not container.failure.exists()


def test_a_failed_training_says_why_without_secrets_and_hands_nothing_over(laid):
    container = laid("fail")
    ended = container.train(SHOP_TOKEN="hunter2-hunter2")
    assert ended.code == 1
    reason = container.failure.read_text()
    assert reason.startswith("the training ended with exit code 1\n")
    assert reason.endswith("the training says why ***")
    assert list(container.output.iterdir()) == []


def test_a_training_that_was_killed_ends_as_a_shell_would_say(laid):
    assert laid("crash").train().code == 128 + signal.SIGKILL


@pytest.mark.parametrize(("behaviour", "name"), [("no-model", "model"), ("no-metrics", "scores")])
def test_what_is_missing_is_said_and_left_to_the_pipeline_to_judge(laid, behaviour, name):
    ended = laid(behaviour).train()
    assert ended.code == 0
    assert "left no" in ended.err
    assert name in ended.err


@pytest.mark.parametrize("behaviour", ["pipe-model", "pipe-metrics"])
def test_what_is_no_plain_file_is_refused(laid, behaviour):
    container = laid(behaviour)
    assert container.train().code == 5
    assert "no plain file" in container.failure.read_text()


def test_a_metric_that_is_no_number_comes_over_as_it_was_and_is_not_printed(laid):
    container = laid("succeed", '{"mae": NaN}')
    ended = container.train()
    assert ended.code == 0
    assert (container.output / "metrics.json").read_text() == '{"mae": NaN}'
    assert "ml-pipeline metric" not in ended.out


def test_a_stop_reaches_the_training_and_what_left_its_group(laid):
    container = laid("hang")
    process = container.start()
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("hangs"))
    started = [int(word) for word in line.split()[1:]]
    assert all(lives(pid) for pid in started)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert eventually(lambda: not any(lives(pid) for pid in started))
    assert "stopped by SIGTERM" in said
    assert not container.failure.exists()
    assert list(container.output.iterdir()) == []


def test_a_training_finds_what_script_mode_sets_and_not_what_the_pipeline_told(laid):
    container = laid(
        ML_PIPELINE_VARIABLES='{"SHOP": "north"}', ML_PIPELINE_HYPERPARAMETERS='{"depth": 3}'
    )
    code = "import json, os; print('seen', json.dumps(dict(os.environ)))"
    command = json.dumps([sys._base_executable, "-c", code])
    file = container.folder / "ml" / "input" / "config" / "hyperparameters.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "ML_PIPELINE_COMMAND": command}))
    line = next(line for line in container.train().out.splitlines() if line.startswith("seen"))
    seen = json.loads(line.removeprefix("seen "))
    assert seen["SHOP"] == "north"
    assert seen["SM_HPS"] == '{"depth": 3}'
    assert Path(seen["SM_CHANNEL_TRAINING"]).name == "training"
    assert seen["PATH"].startswith(str(Path(sys._base_executable).parent))
    assert [key for key in seen if key.startswith("ML_PIPELINE_")] == ["ML_PIPELINE_PROCESS"]


@pytest.mark.parametrize("kind", ["outside", "link"])
def test_an_archive_that_leads_elsewhere_is_refused(laid, kind):
    container = laid()
    entry = tarfile.TarInfo("../outside" if kind == "outside" else "link")
    if kind == "link":
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(container.channel / "source.tar.gz", "w:gz") as tar:
        tar.addfile(entry, io.BytesIO())
    assert container.train().code == 5
    assert kind in container.failure.read_text()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ML_PIPELINE_COMMAND": "python t.py"}, "ML_PIPELINE_COMMAND"),
        ({"ML_PIPELINE_COMMAND": "[]"}, "ML_PIPELINE_COMMAND"),
        ({"ML_PIPELINE_ARTIFACT": ""}, "ML_PIPELINE_ARTIFACT"),
        ({"ML_PIPELINE_COMMAND": '["no-such-program", "{data}"]'}, "no-such-program"),
        ({"ML_PIPELINE_COMMAND": '["python3", "{rows}"]'}, "{rows}"),
        ({"ML_PIPELINE_HYPERPARAMETERS": "[1]"}, "ML_PIPELINE_HYPERPARAMETERS"),
    ],
)
def test_a_job_that_was_told_wrong_things_says_which(laid, wrong, words):
    container = laid(**wrong)
    ended = container.train()
    assert ended.code == 4
    assert words in container.failure.read_text()
    assert "Traceback" not in ended.err


def test_requirements_that_do_not_install_are_the_failure(laid):
    container = laid(
        ML_PIPELINE_REQUIREMENTS="requirements.txt", ML_PIPELINE_VARIABLES='{"INDEX": "shop"}'
    )
    installer = container.program.with_name("install_requirements.py")
    said = "'no version of ' + sys.argv[1] + ' at ' + os.environ['INDEX']"
    installer.write_text(f"import os, sys; sys.exit({said})")
    assert container.train().code == 1
    reason = container.failure.read_text()
    assert "the requirements in requirements.txt do not install" in reason
    assert "no version of requirements.txt at shop" in reason


def test_the_program_is_written_for_python_3_9_and_imports_nothing_else() -> None:
    tree = ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
