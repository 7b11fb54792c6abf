"""Tells nobody, and says so."""

from typing import TYPE_CHECKING

from ml_pipeline.domain.evidence import RunRecord

if TYPE_CHECKING:
    from ml_pipeline.ports.reporting import Notifier


class LocalNotifier:
    """Speaks `ports.reporting.Notifier` where no webhook is set."""

    def send(self, run: RunRecord) -> str:  # noqa: ARG002 - the port's signature
        return "nobody was told: no webhook is set"


if TYPE_CHECKING:
    _speaks: type[Notifier] = LocalNotifier
