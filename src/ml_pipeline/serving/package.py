"""The package folder: a servable model, and `package.json` that says what it is.

    package.json   the manifest below, with the digest of every other file
    model.onnx     or model.skops

A folder is used only when it holds exactly what its manifest says. Nothing in it can name a type
to be trusted: what skops may load comes from whoever loads.
"""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from ml_pipeline.domain.errors import DataError, StorageError
from ml_pipeline.domain.evidence import Sha256
from ml_pipeline.ports.models import PackageInfo
from ml_pipeline.serving.onnx_sealed import refuse_external_data

MANIFEST = "package.json"
#: A manifest is read whole before anything in it is believed.
MAX_MANIFEST_BYTES = 1 << 20
_REMEDY = "Package the model again; do not edit a package folder."

#: A plain file name: no separator, no leading dot, nothing a shell or a path would interpret.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class PackageFormat(StrEnum):
    """What can be loaded without running code that came with it."""

    ONNX = "onnx"
    SKOPS = "skops"


class ValueType(StrEnum):
    """What a request may hold in a column; a missing value is allowed in each."""

    FLOAT = "float"
    INT = "int"
    STRING = "string"
    BOOL = "bool"


class Task(StrEnum):
    """What a prediction is: a number, or one of few labels."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputColumn(_Frozen):
    """One input of the model; `fill` stands for a value that is missing."""

    name: str = Field(min_length=1)
    type: ValueType
    fill: str | FiniteFloat | None = None


class FileEntry(_Frozen):
    """What a file of the package must be."""

    sha256: Sha256
    bytes: int = Field(ge=0)


class Manifest(_Frozen):
    """The content of `package.json`.

    Attributes:
        columns: inputs in the order the model takes them.
        classes: labels of a text target in the order the project names them; a prediction
            is computed with as the position here.
        probability_labels: the label of each probability the model gives, in its own order;
            empty when it gives none, or does not say.
        trusted_types: skops types the project trusted when it was packaged; a record, which
            loading does not follow.
        artifact_sha256: the trained artifact this was made of.
        worst_difference: between packaged and trained model, relative to 1 + |prediction|.
        versions: of the libraries that trained and converted, by name.
    """

    schema_version: Literal[1] = 1
    format: PackageFormat
    model_file: FileName
    columns: tuple[InputColumn, ...] = Field(min_length=1)
    task: Task
    classes: tuple[str, ...] = ()
    probability_labels: tuple[str | int | float, ...] = ()
    trusted_types: tuple[str, ...] = ()
    artifact_sha256: Sha256 | None = None
    worst_difference: FiniteFloat | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    files: dict[FileName, FileEntry]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("'columns' names one twice")
        if self.model_file not in self.files:
            raise ValueError(f"'files' lacks the model {self.model_file!r}")
        if MANIFEST in self.files:
            raise ValueError(f"'files' lists {MANIFEST}, which cannot hold its own digest")
        return self


def write_package(target: Path, model: Path, facts: Mapping[str, object]) -> Manifest:
    """Lay a package folder at `target`, which is made.

    Args:
        target: a folder that does not exist yet.
        model: the model's file, copied under the name `model.<format>`.
        facts: the manifest's fields, less `model_file` and `files`.

    Raises:
        DataError: it is ONNX, and has weights outside its file.
        StorageError: it cannot be written.
    """
    content = model.read_bytes()
    if facts["format"] == PackageFormat.ONNX:
        refuse_external_data(content)
    name = f"model.{facts['format']}"
    entry = FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    manifest = Manifest.model_validate({**facts, "model_file": name, "files": {name: entry}})
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    try:
        target.mkdir(parents=True)
        (target / name).write_bytes(content)
        (target / MANIFEST).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"the package {target} cannot be written: {error.strerror or error}"
        remedy = "Make room, or choose a folder that can be written."
        raise StorageError(message, remedy=remedy) from error
    return manifest


def package_digest(package: Path) -> str:
    """What `PackageInfo.digest` is for this folder, without a look at the files it lists.

    Raises:
        DataError: it has no manifest that can be read.
    """
    return hashlib.sha256(_content(package, MANIFEST, MAX_MANIFEST_BYTES)).hexdigest()


def read_package(package: Path) -> tuple[Manifest, bytes, PackageInfo]:
    """The manifest, the model's verified bytes, and what the folder is.

    The bytes that were verified are the ones returned, so that nobody can change them between.

    Raises:
        DataError: it is no package, or a file is not what the manifest says.
    """
    text = _content(package, MANIFEST, MAX_MANIFEST_BYTES)
    manifest = _manifest(package, text)
    _refuse_strangers(package, manifest)
    contents = {name: _verified(package, name, entry) for name, entry in manifest.files.items()}
    info = PackageInfo(
        format=manifest.format.value,
        digest=hashlib.sha256(text).hexdigest(),
        bytes=len(text) + sum(len(content) for content in contents.values()),
        worst_difference=manifest.worst_difference,
    )
    return manifest, contents[manifest.model_file], info


def _manifest(package: Path, text: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        _refuse(package, f"{MANIFEST} cannot be used: {where}: {first['msg']}", error)


def _refuse_strangers(package: Path, manifest: Manifest) -> None:
    found = {entry.name for entry in os.scandir(package)}
    expected = {MANIFEST, *manifest.files}
    if missing := expected - found:
        _refuse(package, f"{', '.join(sorted(missing))} is missing")
    if strange := found - expected:
        _refuse(package, f"{', '.join(sorted(strange))} is not in {MANIFEST}")


def _verified(package: Path, name: str, entry: FileEntry) -> bytes:
    content = _content(package, name, entry.bytes)
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        _refuse(package, f"{name} is not the file that was packaged: its digest differs")
    return content


def _content(package: Path, name: str, limit_bytes: int) -> bytes:
    """The bytes of a regular file right in the folder: never through a link, never a device."""
    try:
        descriptor = os.open(package / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                _refuse(package, f"{name} is not a plain file")
            content = file.read(limit_bytes + 1)
    except OSError as error:
        _refuse(package, f"{name} cannot be read: {error.strerror}", error)
    if len(content) > limit_bytes:
        _refuse(package, f"{name} is longer than {limit_bytes} bytes")
    return content


def _refuse(package: Path, what: str, cause: Exception | None = None) -> NoReturn:
    raise DataError(f"the package {package}: {what}", remedy=_REMEDY) from cause
