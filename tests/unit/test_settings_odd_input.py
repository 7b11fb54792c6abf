"""Input no person types ends with a sentence that names where it stands, never a traceback."""

import os
from pathlib import Path

import pytest

from ml_pipeline.cli.opening import Place, folders_of
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.settings import load
from ml_pipeline.settings.initproject import propose
from tests.unit.test_settings import LEAST

DEEP = "[" * 5000 + "]" * 5000
LESS_DEEP = "[" * 150 + "]" * 150
LONG = "9" * 5000


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ml-pipeline.toml").write_text(LEAST, encoding="utf-8")
    (tmp_path / "rides.csv").write_text("km,hour,minutes\n1,2,3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(source: Path | None = None, **given) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(source, **{"environ": {}, **given})
    return str(refused.value)


@pytest.mark.parametrize("value", [DEEP, LESS_DEEP])
def test_a_value_nested_too_deeply_is_named_by_its_key(project, value) -> None:
    told = "load.rate_per_s: is nested too deeply"
    assert refusal(sets=[f"load.rate_per_s={value}"]) == f"--set: {told}"
    variable = "ML_PIPELINE_LOAD__RATE_PER_S"
    assert refusal(environ={variable: value}) == f"{variable}: {told}"


def test_a_number_of_thousands_of_digits_is_named_by_its_key(project) -> None:
    told = "load.rate_per_s: holds a number of more than 4300 digits"
    assert refusal(sets=[f"load.rate_per_s={LONG}"]) == f"--set: {told}"
    variable = "ML_PIPELINE_LOAD__RATE_PER_S"
    assert refusal(environ={variable: LONG}) == f"{variable}: {told}"


def test_text_may_look_like_anything(project) -> None:
    folder = "x" * 200
    assert load(sets=[f'environment.variables.X="{folder}"'], environ={})
    assert "model" in refusal(sets=[f"model={DEEP}"])


def test_a_key_of_thousands_of_parts_is_no_key(project) -> None:
    told = refusal(sets=[f"{'.'.join('a' * 5000)}=1"])
    assert told.startswith("--set: ")
    assert "must be KEY=VALUE" in told


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("[" * 50_000, "is nested too deeply"),
        (LESS_DEEP, "is nested too deeply"),
        (LONG, "holds a number of more than 4300 digits"),
    ],
)
def test_such_a_value_in_the_file_is_named_with_the_file(project, value, what) -> None:
    Path("ml-pipeline.toml").write_text(f"{LEAST}\n[load]\nrate_per_s = {value}\n")
    assert refusal().startswith("ml-pipeline.toml: ")
    assert what in refusal()


def test_a_folder_whose_name_is_too_long_is_refused(project) -> None:
    assert refusal(Path("x" * 5000)).endswith("cannot be read: File name too long")
    assert len(refusal(Path("x" * 5000))) < 300
    Path("ml-pipeline.toml").write_text(f'source = "{"x" * 5000}"')
    assert "ml-pipeline.toml: source: " in refusal()
    Path("ml-pipeline.toml").write_text(LEAST.replace("rides.csv", "x" * 5000))
    assert "ml-pipeline.toml: data.path: " in refusal()


def test_links_that_lead_in_a_circle_are_refused(project) -> None:
    Path("round").symlink_to("round")
    assert refusal(Path("round")).startswith("round: cannot be read: ")
    Path("ml-pipeline.toml").write_text('source = "round"')
    assert "ml-pipeline.toml: source: " in refusal()
    Path("ml-pipeline.toml").unlink()
    Path("ml-pipeline.toml").symlink_to("ml-pipeline.toml")
    assert refusal().startswith("ml-pipeline.toml: cannot be read: ")
    with pytest.raises(ConfigurationError, match="round"):
        propose(Path("round"))


def test_a_link_to_nothing_is_not_taken_for_no_configuration(project) -> None:
    Path("ml-pipeline.toml").unlink()
    Path("ml-pipeline.toml").symlink_to("gone.toml")
    assert refusal() == "ml-pipeline.toml: cannot be read: it is a link to what is not there"


def test_a_pipe_is_not_waited_for(project) -> None:
    Path("ml-pipeline.toml").unlink()
    os.mkfifo("ml-pipeline.toml")
    assert refusal() == "ml-pipeline.toml: cannot be read: it is no regular file"


def test_a_byte_order_mark_is_no_fault(project) -> None:
    Path("ml-pipeline.toml").write_text(LEAST, encoding="utf-8-sig")
    assert load(environ={}).model == load(project, environ={}).model


def test_a_working_folder_that_was_removed_is_said(project, tmp_path, monkeypatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert refusal() == "the working folder: is not there any more"
    assert refusal(Path("below")) == "the working folder: is not there any more"
    assert load(project, environ={}).source == project


@pytest.mark.parametrize("option", ["state", "runs"])
def test_a_folder_for_state_or_runs_that_cannot_be_one_names_its_option(project, option) -> None:
    Path("round").symlink_to("round")
    for name in ("round", "x" * 5000, "rides.csv", "/dev/null"):
        place = Place(**{"source": None, "state": None, "runs": None, option: Path(name)})
        with pytest.raises(ConfigurationError, match=f"^--{option}: "):
            folders_of(place, load(environ={}))
