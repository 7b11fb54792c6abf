"""Package folders: used only when they hold exactly what their manifest says."""

import json
import os
import pickle
from pathlib import Path

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.serving.package import MANIFEST, read_package
from ml_pipeline.serving.servable import load_servable
from tests.fakes.packages import line_package, linear_onnx, linear_skops, package


@pytest.fixture
def folder(tmp_path) -> Path:
    return line_package(tmp_path)


def edit(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_was_written_is_read_back(folder):
    manifest, content, info = read_package(folder)
    assert content == linear_onnx()
    assert [column.name for column in manifest.columns] == ["a", "b"]
    assert info.format == "onnx"
    assert info.bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_the_same_model_makes_the_same_package(tmp_path):
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        digests.add(read_package(line_package(tmp_path / name))[2].digest)
    assert len(digests) == 1


def test_another_model_or_another_manifest_is_another_digest(tmp_path):
    digests = set()
    for name, constant, task in (
        ("a", 1.0, "regression"),
        ("b", 2.0, "regression"),
        ("c", 1.0, "classification"),
    ):
        (tmp_path / name).mkdir()
        made = package(tmp_path / name, linear_onnx(constant=constant), task=task)
        digests.add(read_package(made)[2].digest)
    assert len(digests) == 3


def test_a_changed_byte_is_found(folder):
    content = bytearray((folder / "model.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(DataError, match=r"model\.onnx is not the file that was packaged"):
        read_package(folder)


def test_a_longer_file_is_found(folder):
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="is longer than"):
        read_package(folder)


def test_a_missing_file_is_named(folder):
    (folder / "model.onnx").unlink()
    with pytest.raises(DataError, match=r"model\.onnx is missing"):
        read_package(folder)


def test_a_file_the_manifest_does_not_list_is_named(folder):
    (folder / "extra.py").write_text("")
    with pytest.raises(DataError, match=r"extra\.py is not in package\.json"):
        read_package(folder)


def test_a_folder_in_a_package_is_refused(folder):
    (folder / "more").mkdir()
    with pytest.raises(DataError, match="more is not in"):
        read_package(folder)


def test_a_file_that_is_a_link_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes((folder / "model.onnx").read_bytes())
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"model\.onnx cannot be read"):
        read_package(folder)


def test_a_pipe_in_place_of_the_model_does_not_block(folder):
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(DataError, match="is not a plain file"):
        read_package(folder)


@pytest.mark.parametrize(
    "name", ["../model", "/etc/passwd", "a/b", ".hidden", "", "a\nb", "x" * 200]
)
def test_a_name_that_leads_elsewhere_is_refused(folder, name):
    listed = json.loads((folder / MANIFEST).read_text())["files"]["model.onnx"]
    edit(folder, files={name: listed}, model_file=name)
    with pytest.raises(DataError, match="cannot be used"):
        read_package(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 2),
        ("format", "pickle"),
        ("columns", []),
        ("columns", [{"name": "a", "type": "float"}] * 2),
        ("model_file", "other.onnx"),
        ("task", "ranking"),
        ("surprise", 1),
        ("worst_difference", "much"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_refused(folder, key, value):
    edit(folder, **{key: value})
    with pytest.raises(DataError, match=r"package\.json cannot be used"):
        read_package(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "null"])
def test_a_manifest_that_is_no_json_object_is_refused(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=r"package\.json cannot be used"):
        read_package(folder)


def test_an_endless_manifest_is_not_read_to_its_end(folder):
    (folder / MANIFEST).write_text("{" + " " * (2 << 20))
    with pytest.raises(DataError, match="longer than"):
        read_package(folder)


@pytest.mark.parametrize("made", ["nothing", "a file", "an empty folder"])
def test_what_is_no_package_is_refused(tmp_path, made):
    path = tmp_path / "package"
    if made == "a file":
        path.write_text("")
    elif made == "an empty folder":
        path.mkdir()
    with pytest.raises(DataError, match=r"package\.json cannot be read"):
        read_package(path)


class _Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


@pytest.mark.parametrize("format_", ["onnx", "skops"])
def test_a_pickle_under_another_name_is_never_loaded(tmp_path, format_):
    canary = tmp_path / "canary"
    content = pickle.dumps(_Planted(canary))
    with pytest.raises(DataError, match="does not load"):
        load_servable(package(tmp_path, content, format=format_))
    assert not canary.exists()
    pickle.loads(content)
    assert canary.exists(), "the canary itself does not work"


def test_a_type_is_not_trusted_because_the_package_lists_it(tmp_path):
    """The list in the package is a record; only the caller's own list opens anything."""
    import skops.io
    from sklearn.ensemble import GradientBoostingRegressor

    rows = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
    content = skops.io.dumps(GradientBoostingRegressor(n_estimators=2).fit(rows, [1.0, 2.0, 3.0]))
    needed = skops.io.get_untrusted_types(data=content)
    assert needed, "the model should hold a type skops does not trust by itself"
    made = package(tmp_path, content, format="skops", trusted_types=needed)
    with pytest.raises(DataError, match="not trusted: sklearn"):
        load_servable(made)
    assert load_servable(made, trusted_types=needed).schema.names == ["a", "b"]


def test_a_model_that_takes_other_columns_than_its_package_lists_is_refused(tmp_path):
    made = package(tmp_path, linear_onnx((1.0, 2.0, 3.0)))
    with pytest.raises(DataError, match="takes 3 columns, its package lists 2"):
        load_servable(made)


def test_an_object_that_cannot_predict_is_refused(tmp_path):
    import skops.io

    made = package(tmp_path, skops.io.dumps({"model": 1}), format="skops")
    with pytest.raises(DataError, match="holds a dict, which cannot predict"):
        load_servable(made)


def test_the_skops_model_needs_no_trusted_types_when_it_is_plain(tmp_path):
    made = package(tmp_path, linear_skops(), format="skops")
    servable = load_servable(made)
    assert servable.predict(servable.schema.batch([[1.0, 1.0]])) == pytest.approx([6.0])
