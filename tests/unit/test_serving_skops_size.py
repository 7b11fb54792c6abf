"""skops files: how much they unpack to is known before anything is unpacked."""

import io
import zipfile
from pathlib import Path

import pytest

from ml_pipeline.domain.errors import DataError
from ml_pipeline.entry import trained_artifact
from ml_pipeline.entry.trained_artifact import Refusal
from ml_pipeline.serving import skops_engine
from ml_pipeline.serving.skops_engine import SkopsEngine
from tests.fakes.packages import linear_skops

MIB = 1 << 20


def zipped(*sizes: int) -> bytes:
    """A zip file of members of so many zero bytes, which take a thousandth of it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, size in enumerate(sizes):
            archive.writestr(f"{number}.npy", bytes(size))
    return made.getvalue()


def claiming(unpacked_bytes: int) -> bytes:
    """One whose directory says that its member has so many bytes."""
    content = bytearray(zipped(1))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = unpacked_bytes.to_bytes(4, "little")
    return bytes(content)


def served(content: bytes, folder: Path) -> object:
    return SkopsEngine(content, (), None)


def trained(content: bytes, folder: Path) -> object:
    path = folder / "model.skops"
    path.write_bytes(content)
    spec = {"artifact": str(path), "trusted_types": [], "features": ["a", "b"]}
    return trained_artifact.load({**spec, "model_key": "model", "features_key": "features"})


BOTH = pytest.mark.parametrize("load", [served, trained], ids=["served", "trained"])


@BOTH
def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused(load, tmp_path):
    content = zipped(40 * MIB, 40 * MIB)
    with pytest.raises((DataError, Refusal)) as caught:
        load(content, tmp_path)
    assert f"{len(content)} bytes" in str(caught.value)
    assert f"unpacks to {80 * MIB} bytes" in str(caught.value)


@BOTH
def test_a_file_that_unpacks_to_more_than_two_gibibytes_is_refused(load, tmp_path):
    with pytest.raises((DataError, Refusal), match=f"unpacks to {3 << 30} bytes"):
        load(claiming(3 << 30), tmp_path)


@BOTH
def test_a_model_of_usual_size_is_loaded(load, tmp_path):
    load(linear_skops(), tmp_path)


def test_both_programs_hold_a_file_against_the_same_limits():
    for name in ("MOST_UNPACKED_BYTES", "MOST_TIMES_LARGER", "ALWAYS_UNPACKED_BYTES"):
        assert getattr(skops_engine, name) == getattr(trained_artifact, name)
