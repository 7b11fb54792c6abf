"""The only reader of TOML and of the environment: frozen settings, or every fault at once.

Values come from `--set` and other options, environment, file, profile, policy default, in this
order. pydantic validates; the sources are read here because pydantic-settings keeps no origin
of a value, stops at the first variable it cannot parse, passes over unknown ones, and takes
0.5 s to import (measured, version 2.16) where an unchanged run answers in 2 s.
"""

from ml_pipeline.settings.explanation import Row, chosen, explain
from ml_pipeline.settings.given import Given
from ml_pipeline.settings.loading import load
from ml_pipeline.settings.model import LocalPolicy, Settings
from ml_pipeline.settings.profiles import PROFILES, Platform, ProfileName
from ml_pipeline.settings.secrets import Secrets

__all__ = [
    "PROFILES",
    "Given",
    "LocalPolicy",
    "Platform",
    "ProfileName",
    "Row",
    "Secrets",
    "Settings",
    "chosen",
    "explain",
    "load",
]
