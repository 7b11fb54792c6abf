"""The order of a target's labels: with two, the last is the positive one."""

import re
from collections.abc import Sequence

_POSITIVE = re.compile(
    r"y|yes|t|true|pos|positive|1|spam|fraud|fraudulent|churn|churned|default|bad|fail|failed"
    r"|failure|malignant|sick|abnormal|anomaly|attack|hit|late|delayed|success|toxic|fake|clicked"
    r"|bought|approved|accepted|survived|present|high|>=? ?\d.*",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"n|no|none|f|false|neg|negative|0|-1|ham|legit|legitimate|ok|good|normal|benign|healthy|low"
    r"|rejected|stayed|absent|on[-_ ]?time|<=? ?\d.*|(not?|non)[-_ ].+|non\w+|un\w+"
    r"|in(active|valid|correct)",
    re.IGNORECASE,
)


def in_order(labels: Sequence[str]) -> Sequence[str]:
    """The labels sorted; of two, that which sounds positive last.

    >>> in_order(["yes", "no"]), in_order(["spam", "ham"]), in_order(["b", "c", "a"])
    (['no', 'yes'], ['ham', 'spam'], ['a', 'b', 'c'])
    """
    listed = sorted(labels)
    if len(listed) != 2:
        return listed
    return sorted(listed, key=lambda label: (_sound(label), listed.index(label)))


def _sound(label: str) -> int:
    if _NEGATIVE.fullmatch(label.strip()):
        return -1
    return 1 if _POSITIVE.fullmatch(label.strip()) else 0
