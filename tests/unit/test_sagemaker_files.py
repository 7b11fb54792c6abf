"""Files in S3: whole, all of them, below their folder, and what was stored."""

import tarfile

import botocore.exceptions as aws
import pytest

from ml_pipeline.adapters.sagemaker.artifacts import SageMakerArtifacts
from ml_pipeline.adapters.sagemaker.files import Bucket, arriving, member, split_uri
from ml_pipeline.domain.errors import (
    ConfigurationError,
    DataError,
    PlatformUnavailableError,
    StorageError,
)
from tests.fakes.aws import POLICY, Aws, Streamed, refused

CONTENT = b"a model"
BREAKS = [
    aws.ResponseStreamingError(error="gone"),
    aws.IncompleteReadError(actual_bytes=3, expected_bytes=7),
    aws.ReadTimeoutError(endpoint_url="x"),
]


def holding(contents: dict[str, bytes], breaks: list[Exception] | None = None) -> Aws:
    """A bucket with these keys."""

    def head(*, Bucket: str, Key: str) -> dict:  # noqa: N803 - as botocore names them
        if Key not in contents:
            raise refused("404", status=404)
        return {}

    def pages(*, Prefix: str, ContinuationToken: str = "0", **_: str) -> dict:  # noqa: N803
        found = sorted(key for key in contents if key.startswith(Prefix))
        at = int(ContinuationToken)
        more = {"NextContinuationToken": str(at + 2)} if at + 2 < len(found) else {}
        return {"Contents": [{"Key": key} for key in found[at : at + 2]], **more}

    return Aws(
        head_object=head,
        list_objects_v2=pages,
        get_object=lambda **asked: {"Body": Streamed(contents[asked["Key"]], breaks or [])},
        put_object=lambda **_: {},
    )


@pytest.mark.parametrize("broken", BREAKS, ids=lambda error: type(error).__name__)
def test_a_body_that_breaks_off_is_brought_again_and_whole(tmp_path, broken):
    clients = holding({"k": CONTENT}, [broken, broken])
    Bucket(clients, "b").download("k", tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == CONTENT


@pytest.mark.parametrize("broken", BREAKS, ids=lambda error: type(error).__name__)
def test_a_body_that_always_breaks_off_is_no_file(tmp_path, broken):
    clients = holding({"k": CONTENT}, [broken] * 9)
    with pytest.raises(PlatformUnavailableError):
        SageMakerArtifacts(clients, POLICY).fetch("s3://b/k", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_many_pages_comes_whole(tmp_path):
    contents = {f"p/{number}": bytes([number]) for number in range(7)}
    Bucket(holding(contents), "b").download_tree("p", tmp_path / "all")
    assert {path.name: path.read_bytes() for path in (tmp_path / "all").iterdir()} == {
        str(number): bytes([number]) for number in range(7)
    }


@pytest.mark.parametrize("key", ["p/../../evil", "p/a/../../../evil", "p//etc/evil"])
def test_a_key_that_leaves_the_folder_is_refused_and_writes_nothing(tmp_path, key):
    clients = holding({key: b"evil", "p/zz": b"good"})
    with pytest.raises(DataError, match="evil names no file below"):
        SageMakerArtifacts(clients, POLICY).fetch("s3://b/p", tmp_path / "in" / "model")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nothing_at_an_address_is_an_error(tmp_path):
    store = SageMakerArtifacts(holding({}), POLICY)
    with pytest.raises(DataError, match="nothing at s3://b/p"):
        store.fetch("s3://b/p", tmp_path / "model")
    with pytest.raises(DataError, match=r"nothing at s3://b/model\.tar\.gz#m"):
        store.fetch("s3://b/model.tar.gz#m", tmp_path / "model")


def test_what_lies_at_an_address_that_promises_something_else_is_refused(tmp_path):
    key = f"x/artifacts/{'0' * 64}/model"
    with pytest.raises(DataError, match="not what was stored"):
        SageMakerArtifacts(holding({key: CONTENT}), POLICY).fetch(f"s3://b/{key}", tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_stored_already_is_not_sent_again(tmp_path):
    (tmp_path / "m").write_bytes(CONTENT)
    contents: dict[str, bytes] = {}
    clients = holding(contents)
    store = SageMakerArtifacts(clients, POLICY)
    uri = store.put(tmp_path / "m", "m")
    contents[uri.removeprefix("s3://shop-models/")] = CONTENT
    assert store.put(tmp_path / "m", "m") == uri
    assert len(clients.of("put_object")) == 1


@pytest.mark.parametrize("name", ["../m", "a/b", ".hidden", ""])
def test_a_name_that_is_no_files_name_is_refused(tmp_path, name):
    (tmp_path / "m").write_bytes(CONTENT)
    with pytest.raises(ConfigurationError, match="artifact name"):
        SageMakerArtifacts(holding({}), POLICY).put(tmp_path / "m", name)


def test_an_archive_that_is_none_or_holds_other_files_is_told(tmp_path):
    (tmp_path / "m").write_bytes(CONTENT)
    with pytest.raises(DataError, match="no archive"):
        member(tmp_path / "m", "m")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "m", "./m")
        tar.add(tmp_path, "folder", recursive=False)
    assert member(tmp_path / "a.tar.gz", "m") == CONTENT
    assert member(tmp_path / "a.tar.gz", "other") is None
    assert member(tmp_path / "a.tar.gz", "folder") is None
    packed = (tmp_path / "a.tar.gz").read_bytes()
    with pytest.raises(DataError, match="holds no such file"):
        SageMakerArtifacts(holding({"a.tar.gz": packed}), POLICY).fetch(
            "s3://b/a.tar.gz#other", tmp_path / "out"
        )


@pytest.mark.parametrize("uri", ["gs://b/k", "s3://b", "s3://b/", "s3:///k", "/b/k"])
def test_an_address_outside_s3_is_refused(uri):
    with pytest.raises(DataError, match="does not lie in S3"):
        split_uri(uri)


def test_a_place_that_cannot_be_written_is_storage_and_what_was_there_stays(tmp_path):
    (tmp_path / "m").write_bytes(b"before")
    with pytest.raises(StorageError, match="could not be written"), arriving(tmp_path / "m"):
        raise OSError(28, "No space left on device")
    assert (tmp_path / "m").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_folder_that_arrives_replaces_what_was_there_and_no_more_than_that(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    target = tmp_path / "m"
    store = SageMakerArtifacts(holding({"p/new": b"1"}), POLICY)
    target.mkdir()
    (target / "old").write_text("old")
    first = store.fetch("s3://b/p", target)
    assert [path.name for path in target.iterdir()] == ["new"]
    (target / "new").unlink()
    target.rmdir()
    target.symlink_to(elsewhere)
    assert store.fetch("s3://b/p", target) == first
    assert not target.is_symlink()
    assert (elsewhere / "kept").exists()
