"""Rows as they come, as `prepare` and as training are handed them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from ml_pipeline.adapters.local.memo import FolderMemo
from ml_pipeline.adapters.local.tables import PolarsTables
from ml_pipeline.domain.policies.data import DataPolicy
from ml_pipeline.ports.runner import CommandResult
from ml_pipeline.stages import fetch_data

ROWS = "id;x;y\n" + "".join(f"{n};{n % 7},5;{n % 3}\n" for n in range(200))


class Prepares:
    """A project whose `prepare` reads semicolons and writes commas."""

    def run(self, argv, *, log: Path, **_: object) -> CommandResult:
        raw, target = (Path(word) for word in argv[1:])
        text = raw.read_text()
        assert text.startswith("id;x;y")
        target.write_text(text.replace(",", ".").replace(";", ","))
        log.write_text("")
        return CommandResult(argv=tuple(argv), exit_code=0, duration_s=0.0, log=log)


def fetched(folder: Path, **more: object) -> tuple[Path, DataPolicy]:
    (folder / "stage").mkdir()
    (folder / "wine.csv").write_text(ROWS)
    data = DataPolicy(
        path="wine.csv", separator=";", target="y", features=("x",), key_columns=("id",), **more
    )
    outcome = fetch_data.run(
        stage=SimpleNamespace(path=folder / "stage"),
        source=folder,
        data=data,
        runner=Prepares(),
        tables=PolarsTables(),
        memo=FolderMemo(folder / "memo"),
        options=SimpleNamespace(cutoff=None, source_digest=""),
    )
    assert outcome.values["training_rows"] + outcome.values["holdout_rows"] == 200
    assert all(path.is_file() for path in outcome.artifacts)
    return folder / "stage" / fetch_data.given_to_training(data), data


def test_training_is_handed_the_separator_of_the_rows(tmp_path):
    given, _ = fetched(tmp_path)
    header, first, *_ = given.read_text().splitlines()
    assert header == "id;x;y"
    assert f"{first}\n" in ROWS
    assert (given.parent / "training.csv").read_text().splitlines()[0] == "id,x,y"
    assert (given.parent / "holdout.csv").read_text().splitlines()[0] == "id,x,y"


def test_what_prepare_writes_has_commas(tmp_path):
    given, _ = fetched(tmp_path, prepare=("prepare", "{input}", "{output}"))
    assert given.name == "training.csv"
    assert given.read_text().splitlines()[0] == "id,x,y"


def test_a_separator_is_for_csv():
    with pytest.raises(ValueError, match="'separator' is for 'format'"):
        DataPolicy(path="a", separator=";", format="parquet", target="y", features=("x",))
