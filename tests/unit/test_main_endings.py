"""How a call ends: with the pipeline's own codes, one sentence, and no traceback of the module."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml_pipeline.containers import install
from ml_pipeline.domain.errors import ExitCode
from tests.fakes.recording_session import Recipe, call, call_alone

PROGRAM = Path(install.__file__)


def _ending(argv_part: str, code: int, said: str = "") -> object:
    return lambda argv: (code, said) if argv_part in argv else (0, "")


def _told(error: Recipe | None) -> dict[str, str]:
    assert error is not None
    return {one["name"]: one["value"] for one in error.all("withValue")}


@pytest.mark.parametrize("code", [ExitCode.NO_IMPROVEMENT, ExitCode.ROLLED_BACK])
def test_a_verdicts_code_reaches_the_caller_without_a_traceback(code: ExitCode) -> None:
    session, done = call_alone("full_pipeline", ends=_ending("full-pipeline", code))
    told = _told(session.error)
    assert told["exitCode"] == str(int(code))
    assert told["_type"] == '"EXEC_ERROR"'
    assert "Traceback" not in done.stderr + done.stdout
    assert session.returned is None


def test_evidence_comes_from_a_call_of_its_own_after_a_bad_end() -> None:
    ends = _ending("full-pipeline", ExitCode.CHECKS_RED)
    session, _ = call_alone("evidence", ends=ends)
    assert session.error is None
    session, _ = call_alone("run", ends=ends)
    assert session.error is None, "a run as an object gives its evidence whatever it came to"


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("error: No solution found when resolving dependencies", ExitCode.CONFIGURATION),
        ("error: Failed to fetch: `x`\n  Caused by: HTTP status client error (401)", 4),
        ("error: Failed to fetch: `x`\n  Caused by: dns error", ExitCode.UNAVAILABLE),
        ("ERROR: Could not connect: Connection refused", ExitCode.UNAVAILABLE),
        ("error: No space left on device (os error 28)", ExitCode.UNAVAILABLE),
        ("", ExitCode.CONFIGURATION),
    ],
)
@pytest.mark.parametrize("own_code", [1, 2])
def test_a_failed_installation_never_looks_like_a_verdict(
    printed: str, code: int, own_code: int
) -> None:
    """uv ends with 2, which would say "no improvement"."""
    tool = f"import sys; print({printed!r}); sys.exit({own_code})"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "the pipeline", sys.executable, "-c", tool],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code
    first, second = done.stderr.splitlines()
    assert first.startswith("error: the pipeline could not be installed: ")
    assert second.startswith("  Check ")
    assert printed in done.stdout


def test_an_installation_that_succeeds_says_nothing_of_its_own() -> None:
    argv = [sys.executable, str(PROGRAM), "x", sys.executable, "-c", "print('done')"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_an_installer_that_is_not_there_is_a_matter_of_the_base_image() -> None:
    argv = [sys.executable, str(PROGRAM), "uv", "/no/such/program"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.CONFIGURATION
    assert "uv could not be installed: /no/such/program" in done.stderr


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("there", [True, False])
def test_a_compiler_is_installed_only_where_there_are_no_wheels_and_none_is_there(
    machine: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apt-get", *(["gcc"] if there else [])):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.compiler(machine) == 0
    asked = tmp_path / "asked"
    assert asked.exists() == (machine == "aarch64" and not there)
    if asked.exists():
        assert asked.read_text().splitlines() == [
            "update",
            "install -y --no-install-recommends gcc libc6-dev",
        ]


def test_the_installer_needs_nothing_installed_and_shares_the_documented_codes() -> None:
    assert install.CONFIGURATION == ExitCode.CONFIGURATION
    assert install.UNAVAILABLE == ExitCode.UNAVAILABLE
    argv = [sys.executable, "-I", "-S", str(PROGRAM), "x", sys.executable, "-c", ""]
    assert subprocess.run(argv, check=False).returncode == 0


def test_a_failed_installation_ends_the_call_with_its_code() -> None:
    session, done = call_alone("lint", ends=_ending("/opt/install.py", ExitCode.UNAVAILABLE))
    assert _told(session.error)["exitCode"] == "7"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("function", ["full_pipeline", "lint", "evidence", "build_image", "run"])
@pytest.mark.parametrize(
    ("refusal", "code", "reason"),
    [
        (
            (
                'secret env "AWS_ACCESS_KEY_ID": resolve session secret "x": no available client'
                ' binding: client "y": secret env var not found: "MIS..."'
            ),
            ExitCode.CONFIGURATION,
            "a secret cannot be read: ",
        ),
        (
            (
                'failed to resolve image "docker.io/library/pithon:3" (platform: "linux/amd64"):'
                " docker.io/library/pithon:3: not found"
            ),
            ExitCode.CONFIGURATION,
            "the base image cannot be had: ",
        ),
        (
            (
                'failed to resolve image "docker.io/library/python:3" (platform: "linux/amd64"):'
                " dial tcp: lookup registry-1.docker.io: no such host"
            ),
            ExitCode.UNAVAILABLE,
            "an image registry did not answer: ",
        ),
        (
            'failed to resolve image "r.example/a:1" (platform: "linux/amd64"): 503 bad gateway',
            ExitCode.UNAVAILABLE,
            "an image registry did not answer: ",
        ),
        (
            'failed to resolve image "r.example/a:1" (platform: "linux/amd64"): 401 Unauthorized',
            ExitCode.CONFIGURATION,
            "the base image cannot be had: ",
        ),
        (
            "failed to parse image address python:3:13: invalid reference format",
            ExitCode.CONFIGURATION,
            "the base image is no image's name: ",
        ),
        (
            "start service db: dial tcp 10.0.0.2:5432: connect: connection refused",
            ExitCode.UNAVAILABLE,
            "the engine got no answer from something it needs: ",
        ),
    ],
)
def test_what_the_engine_refuses_ends_with_a_documented_code(
    function: str, refusal: str, code: ExitCode, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = call(function, monkeypatch, refusal=refusal)
    told = _told(session.error)
    assert told["_type"] == '"EXEC_ERROR"', "else `dagger call` ends with 1"
    assert told["exitCode"] == str(int(code))
    assert session.error is not None
    message = session.error.all("error")[0]["message"]
    assert message.startswith(reason)
    assert refusal in message


@pytest.mark.parametrize("own_code", [1, 2, 127])
def test_a_base_image_without_a_fit_python_is_a_matter_of_configuration(own_code: int) -> None:
    """The engine's init ends with 1 where there is no program, and so does a Python of old."""
    said = 'exec: "python": executable file not found in $PATH'
    session, done = call_alone("lint", ends=_ending("/opt/install.py", own_code, said))
    told = _told(session.error)
    assert told["exitCode"] == "4"
    assert json.loads(told["stderr"]) == said
    assert session.error is not None
    message = session.error.all("error")[0]["message"]
    assert message.startswith("the base image has no Python >= 3.11 on its PATH: ")
    assert "Traceback" not in done.stderr


def test_what_a_red_check_printed_reaches_the_caller() -> None:
    """`lint` and `unit-test` leave no evidence: what they print is what there is."""
    said = "src/a.py:3: F401 `os` imported but unused"
    session, _ = call_alone("lint", ends=_ending("/opt/ml-pipeline/bin/ml-pipeline", 3, said))
    told = _told(session.error)
    assert told["exitCode"] == "3"
    assert said in told["stderr"]


def test_a_refusal_shows_no_traceback_and_an_unknown_one_does() -> None:
    _, done = call_alone("train", refusal='secret env "X": secret env var not found: "X"')
    assert "Traceback" not in done.stderr
    session, done = call_alone("train", refusal="the engine is on fire")
    assert "exitCode" not in _told(session.error)
    assert "Traceback" in done.stderr


def test_the_module_loads_what_it_declares_and_no_more() -> None:
    """Its process starts at every call: beside the SDK it loads nothing heavy."""
    code = (
        "import sys, ml_pipeline.main\n"
        "ours = {name for name in sys.modules if name.startswith('ml_pipeline.')}\n"
        "print(sorted({name.split('.')[1] for name in ours}))\n"
        "heavy = {'polars', 'numpy', 'mlflow', 'sklearn', 'onnxruntime', 'typer', 'aiohttp',"
        " 'filelock', 'tomlkit', 'jinja2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['containers', 'domain', 'main', 'pipeline']"
