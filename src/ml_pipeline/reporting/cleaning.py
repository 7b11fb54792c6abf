"""The last line of defence before text is shown: secrets masked, invisible characters gone."""

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from ml_pipeline.domain.evidence import RunRecord

MASK = "•••"
#: A shorter value would also hit ordinary words.
_SHORTEST_SECRET = 8
#: Things that are secrets wherever they stand. Each keeps what group 1 names.
_TELLTALE = re.compile(
    r"(://)[^/\s:@]*:[^/\s@]+(?=@)"  # https://user:password@host
    r"|(hooks\.slack\.com/(?:services|workflows)/)[\w/-]+"
    r"|(\bAuthorization\W{1,4}(?:Bearer|Basic|Token)\s+)[\w.~+/=-]{8,}"
    r"|(\bBearer\s+)[\w.~+/=-]{20,}"
    r"|(\b(?:AccountKey|SharedAccessSignature|sig)=)[\w%+/=-]{16,}"
    r"|()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|()\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|glpat-[\w-]{16,})"
    r"|()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)",
    re.IGNORECASE | re.DOTALL,
)
#: ANSI sequences first, then control characters but tab and newline, and what reorders or hides
#: text: https://www.unicode.org/reports/tr36/ (bidirectional overrides, zero width).
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def visible(text: str) -> str:
    r"""Text without terminal sequences, control and reordering characters.

    >>> visible("\x1b[31mred\x1b[0m\x00 \u202etxt.exe")
    'red txt.exe'
    """
    return _INVISIBLE.sub("", _ANSI.sub("", text.replace("\r\n", "\n")))


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Text with known secrets and what looks like one masked, encodable in UTF-8.

    >>> masked("GET https://bob:hunter2@host/", ())
    'GET https://•••@host/'
    """
    text = _SURROGATE.sub("\ufffd", text)
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return _TELLTALE.sub(lambda found: f"{found[found.lastindex or 0]}{MASK}", text)


def without_secrets(run: RunRecord, secrets: Iterable[str] = ()) -> RunRecord:
    """The record with every text in it masked; digests stay as they are."""
    known = sorted(secrets, key=len, reverse=True)
    return RunRecord.model_validate(each_text(run.model_dump(), lambda text: masked(text, known)))


def presentable(run: RunRecord) -> RunRecord:
    """The record with every text in it `visible`."""
    return RunRecord.model_validate(each_text(run.model_dump(), visible))


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of nested mappings and lists with every text changed; digests stay."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return value if _DIGEST.fullmatch(value) else change(value)
    if isinstance(value, dict):
        return {each_text(key, change): each_text(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [each_text(item, change) for item in value]
    return value
