"""What an engine loads of this repository, and what it installs before the first call."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from ml_pipeline.containers.image import BASE_IMAGE

ROOT = Path(__file__).parents[2]
DAGGER = json.loads((ROOT / "dagger.json").read_text(encoding="utf-8"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: What the module and the image of the stages are made from.
NEEDED = {"src", "pyproject.toml", "README.md", "dagger.json"}


def test_an_edit_beside_the_code_loads_nothing_again() -> None:
    """The runtime is installed anew for every change of what is loaded: 12 to 18 s."""
    left_out = {one.removeprefix("!") for one in DAGGER["include"]}
    assert not left_out & NEEDED
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    folders = {line.split("/")[0] for line in done.stdout.splitlines() if "/" in line}
    folders |= {"bench", "ci", "docs", "examples", "tests"}  # also where git is not at hand
    assert folders - NEEDED - left_out == set()


def test_what_a_call_writes_here_is_neither_loaded_nor_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    for folder in ("evidence", "state"):
        assert f"!{folder}" in DAGGER["include"]
        assert f"/{folder}/" in ignored


def test_a_lock_file_of_this_machine_does_not_reach_the_engine() -> None:
    """With one the runtime would take the SDK from the index, not the engine's own."""
    assert "!uv.lock" in DAGGER["include"]


def test_one_base_image_is_pulled_and_not_two() -> None:
    assert PYPROJECT["tool"]["dagger"]["base-image"] == BASE_IMAGE


def test_the_module_installs_the_sdk_and_nothing_else() -> None:
    needed = [one for one in requires("ml-pipeline") or () if "extra ==" not in one]
    assert needed == ["dagger-io"], "a lower bound would refuse the engine's own, which is 0.0.0"


def test_the_module_needs_nothing_that_is_not_installed_for_it() -> None:
    code = (
        "import sys\n"
        "class Refused:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in {'pydantic', 'pydantic_core', 'typer', 'filelock'}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refused())\n"
        "import ml_pipeline.main\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
