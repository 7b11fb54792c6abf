"""Secrets: by environment only, kept apart from the settings, never shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from ml_pipeline.settings.faults import Fault, error

#: The environment variable of each secret.
VARIABLES: Mapping[str, str] = {"slack_webhook": "ML_PIPELINE_SLACK_WEBHOOK"}
MEANINGS: Mapping[str, str] = {"slack_webhook": "where `notify` posts to"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What must never reach an argument, a log or evidence; `repr` shows stars."""

    slack_webhook: SecretStr | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """The secrets that are set; an empty variable is not set.

        Raises:
            ConfigurationError: the webhook is no web address; its value is not named.
        """
        given = {name: environ.get(variable, "").strip() for name, variable in VARIABLES.items()}
        webhook = given["slack_webhook"]
        if webhook and not _is_web_address(webhook):
            allowed = "must be an https:// address (http:// only on this machine)"
            raise error([Fault(origin=VARIABLES["slack_webhook"], message=allowed)])
        return cls(**{name: SecretStr(text) for name, text in given.items() if text})

    def plain(self) -> Iterable[str]:
        """Every secret that is set, in plain text, so that it can be masked where it turns up."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value.get_secret_value() for value in values if value is not None]


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    here = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))
