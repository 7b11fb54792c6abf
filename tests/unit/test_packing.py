"""A project's code as it travels with a job."""

import tarfile

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.ports.packing import packed_source
from tests.fakes.projects import write_files

CODE = {"t.py": "1", "src/shop/train.py": "2"}


def packed_bytes(folder):
    with packed_source(folder) as archive:
        return archive.read_bytes()


def test_what_tools_and_the_pipeline_leave_does_not_travel(tmp_path):
    left = {".git/HEAD": "", ".venv/lib/x.py": "", "src/shop/__pycache__/a.pyc": "", "runs/1/r": ""}
    write_files(tmp_path, {**CODE, **left, ".ml-pipeline/state": ""})
    with packed_source(tmp_path) as archive, tarfile.open(archive) as tar:
        assert sorted(tar.getnames()) == sorted(CODE)


def test_equal_code_makes_equal_bytes_and_other_code_others(tmp_path):
    one, same = (write_files(tmp_path / name, CODE) for name in ("one", "same"))
    other = write_files(tmp_path / "other", {**CODE, "t.py": "3"})
    assert packed_bytes(one) == packed_bytes(same) != packed_bytes(other)


def test_a_link_is_refused_by_name(tmp_path):
    write_files(tmp_path, CODE)
    (tmp_path / "rows").symlink_to("/elsewhere")
    with pytest.raises(DataError, match=r"rows is a symbolic link"), packed_source(tmp_path):
        pass
