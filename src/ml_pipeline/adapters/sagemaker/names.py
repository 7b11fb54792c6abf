"""Names and labels on AWS: short enough, from a closed set of letters, and read back as given."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

from ml_pipeline.domain.errors import DataError

#: Tags everything of the pipeline carries.
PROJECT, RUN, VERSION, MODEL = (
    "ml-pipeline:project",
    "ml-pipeline:run-id",
    "ml-pipeline:version",
    "ml-pipeline:model",
)
#: Source: pattern of the keys and values of tags and of CustomerMetadataProperties, SageMaker
#: API reference; `=` is ours to escape with.
_PLAIN = re.compile(r"[A-Za-z0-9 _.:/+\-@]")
#: Source: MaxLength 256 of the same values.
_LENGTH = 256
_LIMIT = 63


def short(text: str, limit: int = _LIMIT) -> str:
    """The name itself, or a shorter one that no other name shares.

    >>> short("shop-production")
    'shop-production'
    >>> len(short("x" * 100))
    63
    """
    clean = re.sub(r"[^A-Za-z0-9-]+", "-", text).strip("-")
    if clean == text and len(text) <= limit:
        return text
    return f"{clean[: limit - 9].rstrip('-')}-{digest_of_text(text)[:8]}"


def digest_of_text(*texts: str) -> str:
    """SHA-256 of texts, told apart."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def job_family(project: str) -> str:
    """What the names of all the project's training jobs begin with."""
    return f"{short(project, 16)}-{digest_of_text(project)[:6]}-"


def job_stem(project: str, run_id: str) -> str:
    """What the names of all the run's training jobs begin with."""
    part = run_id[:20].strip("-")
    return f"{job_family(project)}{part}-{digest_of_text(project, run_id)[:8]}-"


def escaped(text: str) -> str:
    """Any text in the letters AWS allows, never empty.

    >>> escaped("5 % better"), escaped("")
    ('5 =25 better', '=')
    """
    if not text:
        return "="
    return "".join(
        one if _PLAIN.fullmatch(one) else "".join(f"={byte:02X}" for byte in one.encode())
        for one in text
    )


def unescaped(text: str) -> str:
    """What `escaped` was given.

    Raises:
        DataError: the text was not written by it.

    >>> unescaped("5 =25 better"), unescaped("=")
    ('5 % better', '')
    """
    if text == "=":
        return ""
    try:
        raw = re.sub(
            rb"=([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode()
        )
        return raw.decode()
    except ValueError as error:
        raise DataError(
            f"{text!r} on the platform was not written by the pipeline",
            remedy="Remove it in the console.",
        ) from error


def spread(values: Mapping[str, str]) -> dict[str, str]:
    """Values of any length and letters as entries AWS takes; long ones become several.

    >>> spread({"a": "x" * 300})["a@1"]
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
    """
    entries: dict[str, str] = {}
    for key, value in values.items():
        text = escaped(value)
        parts = [text[at : at + _LENGTH] for at in range(0, len(text), _LENGTH)]
        for position, part in enumerate(parts):
            entries[f"{key}@{position}" if position else key] = part
    return entries


def gathered(entries: Mapping[str, str]) -> dict[str, str]:
    """What `spread` was given."""
    whole: dict[str, str] = {}
    for key in entries:
        if "@" not in key:
            text, position = entries[key], 1
            while f"{key}@{position}" in entries:
                text += entries[f"{key}@{position}"]
                position += 1
            whole[key] = unescaped(text)
    return whole


def tag_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": escaped(value)} for key, value in values.items()]


def tags_of(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The pipeline's own tags as they were given; what others tagged is none of our business."""
    return {
        one["Key"]: unescaped(one["Value"]) for one in found if one["Key"].startswith("ml-pipeline")
    }


def joined_shares(shares: Mapping[str, int]) -> str:
    """Shares as the value of a tag.

    >>> joined_shares({"v1": 90, "v2": 10})
    'v1:90 v2:10'
    """
    return " ".join(f"{slot}:{share}" for slot, share in shares.items())


def split_shares(text: str) -> dict[str, int]:
    """What `joined_shares` was given."""
    pairs: Sequence[Sequence[str]] = [one.rsplit(":", 1) for one in text.split()]
    return {slot: int(share) for slot, share in pairs}
