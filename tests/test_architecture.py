"""The layout and the sizes the project promises itself, held against the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ml_pipeline"
MAX_FILE_LINES = 300
MAX_BODY_LINES = 40

#: Longer than the rule, each with its reason.
LONG_FILES: dict[str, str] = {}
LONG_BODIES: dict[str, str] = {}

#: Reading the environment is allowed where a process begins, and nowhere else.
HEAVY = {"mlflow", "onnxruntime", "polars", "pandera", "sklearn", "skops", "aiohttp", "jinja2"}


def _files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_imports_point_from_the_outside_to_the_domain_only() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_grows_beyond_what_one_sits_down_to_read() -> None:
    long = {
        str(path.relative_to(SOURCE)): count
        for path in _files()
        if (count := len(path.read_text().splitlines())) > MAX_FILE_LINES
    }
    assert set(long) == set(LONG_FILES), long


def test_no_function_body_grows_beyond_a_screen() -> None:
    long = {}
    for path in _files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and (lines := node.end_lineno - body[0].lineno + 1) > MAX_BODY_LINES:
                    long[f"{path.relative_to(SOURCE)}:{node.name}"] = lines
    assert set(long) == set(LONG_BODIES), long


def test_modules_have_no_vague_names() -> None:
    vague = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert not [path for path in _files() if path.name in vague]


@pytest.mark.parametrize("command", [["--help"], ["full-pipeline", "--help"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from ml_pipeline.cli.app import app\n"
        "from ml_pipeline.cli.ending import ended\n"
        f"sys.argv = ['ml-pipeline', *{command!r}]\n"
        "code = ended(app)\n"
        f"heavy = sorted({HEAVY | {'pydantic_settings', 'httpx', 'rich'}!r} & set(sys.modules))\n"
        "assert code == 0, code\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tool", ["check", "format"])
def test_ruff_finds_nothing(tool: str) -> None:
    words = ["check", "--no-cache"] if tool == "check" else ["format", "--check", "--no-cache"]
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [str(ruff), *words, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_mypy_finds_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
