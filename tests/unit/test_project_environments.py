"""Environments made with uv: what goes in, what makes a new one, and what never happens."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from ml_pipeline.adapters.local.clock import HostClock
from ml_pipeline.domain.errors import (
    ConfigurationError,
    InterruptedRunError,
    PlatformUnavailableError,
)
from tests.fakes.projects import PLAIN, caller, runner_of, write_files, write_wheel

PACKAGED = """\
[project]
name = "Own-Package"
version = "1.2"
dependencies = ["tiny"]
[project.scripts]
own-tool = "own:main"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""
WITH_GROUPS = """\
[project]
name = "grouped"
version = "1"
dependencies = ["tiny==1.0"]
[project.optional-dependencies]
gpu = ["other"]
[dependency-groups]
dev = ["devtool"]
docs = ["other"]
"""


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder, "tiny", "1.0")
    write_wheel(folder, "tiny", "2.0")
    write_wheel(folder, "needs-tiny", requires=["tiny>=1"])
    for name in ("devtool", "other"):
        write_wheel(folder, name)
    return folder


@pytest.fixture
def project(tmp_path, wheels):
    def made(files, *, environ=None, clock=None, **policy):
        source = write_files(tmp_path / "project", files)
        environ = caller(wheels) if environ is None else environ
        return runner_of(source, tmp_path / "state", environ=environ, clock=clock, **policy)

    return made


@pytest.fixture
def said(tmp_path):
    def ask(runner, *argv, **more):
        command = argv if len(argv) > 1 else ("python", "-c", argv[0])
        result = runner.run(command, log=tmp_path / "said.log", time_limit_s=60, **more)
        return result.tail()

    return ask


def _contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _has(said, runner, *modules) -> list[bool]:
    code = f"import importlib.util as u; print([bool(u.find_spec(m)) for m in {modules!r}])"
    return eval(said(runner, code))


def _locked(source: Path, wheels: Path) -> None:
    subprocess.run(
        [uv.find_uv_bin(), "lock", "-q", "--no-index", "--find-links", str(wheels)],
        cwd=source,
        check=True,
    )


# What goes in


def test_dependencies_and_groups_for_development_are_installed(project, said):
    runner = project({"pyproject.toml": WITH_GROUPS})
    assert _has(said, runner, "tiny", "devtool", "other") == [True, True, False]


def test_named_groups_and_extras_are_installed_instead(project, said):
    runner = project({"pyproject.toml": WITH_GROUPS}, groups=["docs"])
    assert _has(said, runner, "tiny", "devtool", "other") == [True, False, True]
    runner = project({"pyproject.toml": WITH_GROUPS}, extras=["gpu"])
    assert _has(said, runner, "tiny", "devtool", "other") == [True, True, True]


@pytest.mark.parametrize(("key", "there"), [("groups", "dev, docs"), ("extras", "gpu")])
def test_an_unknown_group_or_extra_is_named_with_those_there_are(project, key, there):
    with pytest.raises(ConfigurationError, match=f"environment.{key} names 'nope'.* {there}"):
        project({"pyproject.toml": WITH_GROUPS}, **{key: ["nope"]}).prepare()


def test_a_group_may_ask_for_extras_of_the_project_itself(project, said):
    text = WITH_GROUPS.replace('dev = ["devtool"]', 'dev = ["grouped[gpu]", "devtool"]')
    runner = project({"pyproject.toml": text})
    assert _has(said, runner, "tiny", "devtool", "other") == [True, True, True]


def test_a_lock_decides_the_versions(project, said, tmp_path, wheels):
    source = write_files(tmp_path / "project", {"pyproject.toml": WITH_GROUPS})
    _locked(source, wheels)
    loose = WITH_GROUPS.replace("tiny==1.0", "tiny")
    runner = project({"pyproject.toml": loose})
    assert said(runner, "import tiny, devtool; print(tiny.version)") == "1.0"


def test_requirement_files_are_read_with_those_they_name(project, said):
    runner = project(
        {
            "requirements.txt": "-r more/base.txt  # the rest\n",
            "more/base.txt": "tiny\n-c limits.txt\n",
            "more/limits.txt": "tiny<2\n",
            "requirements-dev.txt": "devtool\n",
        }
    )
    assert said(runner, "import tiny, devtool; print(tiny.version)") == "1.0"


def test_requirements_in_the_settings_are_lines_or_files(project, said):
    poetry = {"pyproject.toml": '[tool.poetry.dependencies]\nother = "*"\n', "r.txt": "tiny<2\n"}
    runner = project(poetry, requirements=["r.txt", "devtool"])
    assert said(runner, "import tiny, devtool; print(tiny.version)") == "1.0"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "does not say what it needs"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\nx = '*'\n"}, "for Poetry only"),
        ({"pyproject.toml": "[project]\nname='x'\ndynamic=['dependencies']\n"}, "to a build"),
        ({"pyproject.toml": "[project"}, "pyproject.toml cannot be read"),
        ({"requirements.txt": "-r gone.txt\n"}, "gone.txt, which requirements.txt names"),
        (
            {"requirements.txt": "-e .\n", "setup.py": "setup(install_requires=['tiny'])"},
            "setup.py names dependencies that only a build can tell",
        ),
        ({"pyproject.toml": PLAIN + 'requires-python = "three"\n'}, "is no version range"),
    ],
)
def test_a_project_that_cannot_be_understood_is_told_what_to_set(project, files, message):
    with pytest.raises(ConfigurationError, match=message) as raised:
        project(files).prepare()
    assert raised.value.remedy


def test_what_cannot_be_had_stops_with_the_installers_reason(project):
    with pytest.raises(ConfigurationError, match=r"tiny==9.*unsatisfiable"):
        project({"requirements.txt": "tiny==9\n"}).prepare()


def test_a_python_that_is_not_there_is_not_downloaded(project):
    with pytest.raises(ConfigurationError, match=r"3\.99"):
        project({"pyproject.toml": PLAIN + 'requires-python = ">=3.99"\n'}).prepare()
    with pytest.raises(ConfigurationError, match=r"3\.98"):
        project({"pyproject.toml": PLAIN}, python="3.98").prepare()


def test_an_index_that_does_not_answer_is_no_fault_of_the_project(project):
    nobody = {"UV_DEFAULT_INDEX": "http://me:secret@127.0.0.1:1/simple", "UV_HTTP_RETRIES": "0"}
    environ = {**caller(), "PIP_NO_INDEX": "", **nobody}
    with pytest.raises(PlatformUnavailableError, match="did not answer") as raised:
        project({"requirements.txt": "tiny\n"}, environ=environ).prepare()
    assert "secret" not in str(raised.value)


# What makes a new one


def test_a_finished_environment_is_found_without_uv(project, monkeypatch):
    first = project({"pyproject.toml": WITH_GROUPS}).prepare()
    monkeypatch.setattr(uv, "find_uv_bin", lambda: pytest.fail("uv was called"))
    assert project({"pyproject.toml": WITH_GROUPS}).prepare() == first


def test_only_what_is_installed_changes_the_digest(project):
    first = project({"pyproject.toml": WITH_GROUPS}).prepare()
    ruff = WITH_GROUPS + "[tool.ruff]\nline-length = 80\n"
    assert project({"pyproject.toml": ruff, "src/new.py": "x = 1\n"}).prepare() == first
    other = WITH_GROUPS.replace("tiny==1.0", "tiny==2.0")
    assert project({"pyproject.toml": other}).prepare() != first


def test_the_same_packages_have_the_same_digest_elsewhere(project, tmp_path, wheels):
    first = project({"pyproject.toml": WITH_GROUPS}).prepare()
    elsewhere = write_files(tmp_path / "elsewhere", {"requirements.txt": "tiny<2\ndevtool\n"})
    second = runner_of(elsewhere, tmp_path / "other-state", environ=caller(wheels)).prepare()
    assert second == first


def test_an_interrupted_creation_leaves_nothing_that_counts_as_made(project, tmp_path, said):
    runner = project({"pyproject.toml": WITH_GROUPS})
    runner.prepare()
    (made,) = (tmp_path / "state" / "envs").glob("*/made.json")
    made.unlink()
    for module in made.parent.glob("venv/lib/*/site-packages/tiny.py"):
        module.unlink()
    assert _has(said, runner, "tiny") == [True]


def test_a_creation_that_is_stopped_raises_and_the_next_one_succeeds(project):
    clock = HostClock()
    clock.stop("Ctrl-C")
    with pytest.raises(InterruptedRunError):
        project({"pyproject.toml": WITH_GROUPS}, clock=clock).prepare()
    assert project({"pyproject.toml": WITH_GROUPS}).prepare()


def test_processes_that_prepare_at_once_get_one_environment(tmp_path, wheels):
    source = write_files(tmp_path / "project", {"pyproject.toml": WITH_GROUPS})
    code = (
        "import sys; from pathlib import Path; from tests.fakes.projects import *\n"
        "a = [Path(each) for each in sys.argv[1:]]\n"
        "print(runner_of(a[0], a[1], environ=caller(a[2])).prepare())"
    )
    argv = [sys.executable, "-c", code, str(source), str(tmp_path / "state"), str(wheels)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert said[0] == said[1]
    assert [process.returncode for process in both] == [0, 0]
    assert len(list((tmp_path / "state" / "envs").glob("*/made.json"))) == 1


def test_an_overlay_keeps_the_versions_of_the_project(project, said):
    runner = project({"pyproject.toml": WITH_GROUPS})
    code = "import tiny, needs_tiny; print(tiny.version)"
    assert said(runner, code, extra=["needs-tiny"]) == "1.0"
    with pytest.raises(ConfigurationError, match=r"tiny==1\.0 and tiny==2\.0"):
        said(runner, code, extra=["tiny==2.0"])


# The project's own code


def test_a_package_is_importable_without_being_built(project, said, tmp_path):
    files = {"pyproject.toml": PACKAGED, "src/own/__init__.py": "def main(): print('one')\n"}
    runner = project(files)
    assert said(runner, "own-tool", "x") == "one"
    assert said(runner, "import importlib.metadata as m; print(m.version('own-package'))") == "1.2"
    # Another length: bytecode of a file of the same length and second is taken for its own.
    write_files(tmp_path / "project", {"src/own/__init__.py": "def main(): print('second')\n"})
    assert said(runner, "own-tool", "x") == "second"


def test_a_folder_named_in_requirements_is_importable_and_its_needs_are_met(project, said):
    runner = project(
        {
            "requirements.txt": "-e ./libs/mine[more]\n",
            "libs/mine/pyproject.toml": '[project]\nname="mine"\nversion="1"\n'
            'dependencies=["tiny<2"]\n[project.optional-dependencies]\nmore=["other"]\n',
            "libs/mine/mine.py": "import tiny, other\n",
        }
    )
    assert said(runner, "import mine; print(mine.tiny.version)") == "1.0"


@pytest.mark.parametrize("lock", [True, False])
def test_nothing_is_written_into_the_users_folder(project, said, tmp_path, wheels, lock):
    tests = "import own\n\ndef test_it():\n    assert own.main\n"
    files = {
        "pyproject.toml": PACKAGED.replace('["tiny"]', "[]"),
        "src/own/__init__.py": "def main(): pass\n",
        "test_own.py": tests,
    }
    runner = project(files)
    if lock:
        _locked(tmp_path / "project", wheels)
    before = _contents(tmp_path / "project")
    said(runner, "import own, test_own")
    said(runner, "import own", extra=["tiny"])
    assert _contents(tmp_path / "project") == before


# What commands see


def test_commands_see_a_small_clean_environment(project, said, wheels):
    noise = {
        "AWS_SECRET_ACCESS_KEY": "k",
        "PYTHONPATH": "/x",
        "ML_PIPELINE_MODEL": "m",
        "UV_FIND_LINKS": str(wheels),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    runner = project({"pyproject.toml": PLAIN}, environ={**caller(), **noise}, variables={"A": "b"})
    seen = eval(said(runner, "import os; print(dict(os.environ))"))
    assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "ML_PIPELINE_MODEL", "UV_FIND_LINKS"} & {
        *seen
    }
    assert seen["A"] == "b"
    own, *others = seen["PATH"].split(":")
    assert own.endswith("/venv/bin")
    assert others == ["/usr/bin", "/bin"]


def test_a_variable_handed_through_is_seen_but_never_logged(project, said):
    environ = {**caller(), "TOKEN": "canary-1234"}
    runner = project({"pyproject.toml": PLAIN}, environ=environ, pass_variables=["TOKEN"])
    printed = said(runner, "import os; print(len(os.environ['TOKEN']), os.environ['TOKEN'])")
    assert printed == "11 ***"


def test_the_interpreter_of_another_environment_is_not_used_by_name(project, said):
    runner = project({"pyproject.toml": PLAIN})
    assert "/state/envs/" in said(runner, "python3", "-c", "import sys; print(sys.executable)")
