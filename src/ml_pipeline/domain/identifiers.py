"""Names that become part of paths, labels and URLs."""

import re
from datetime import datetime

from ml_pipeline.domain.errors import ConfigurationError

LONGEST_RUN_ID = 63
RUN_ID = re.compile(rf"^[a-z0-9][a-z0-9-]{{0,{LONGEST_RUN_ID - 1}}}$")


def run_id_from(now: datetime, suffix: str) -> str:
    """An id that sorts by time and does not collide.

    >>> from datetime import UTC
    >>> run_id_from(datetime(2026, 3, 1, 9, 30, 5, tzinfo=UTC), "1f2e")
    '20260301-093005-1f2e'
    """
    return f"{now:%Y%m%d-%H%M%S}-{suffix}"


def checked_run_id(run_id: str) -> str:
    """The id itself when it may become a folder and a label.

    Raises:
        ConfigurationError: it holds anything but lower case letters, digits and hyphens.
    """
    if not RUN_ID.fullmatch(run_id):
        raise ConfigurationError(
            f"the run id {run_id!r} cannot become a folder's name",
            remedy=f"Use up to {LONGEST_RUN_ID} lower case letters, digits and hyphens.",
        )
    return run_id


def slot_of(version: str) -> str:
    """The production slot of a version.

    >>> slot_of("12")
    'v12'
    """
    return f"v{version}"
