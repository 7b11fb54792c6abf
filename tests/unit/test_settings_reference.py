"""docs/configuration.md says what the code does."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import ml_pipeline.settings
from ml_pipeline.settings import load, reference
from ml_pipeline.settings.faults import dotted
from ml_pipeline.settings.keys import leaves, meaning

ROOT = Path(__file__).parents[2]
MODULES = [
    found.name
    for found in pkgutil.walk_packages(ml_pipeline.settings.__path__, "ml_pipeline.settings.")
]


def test_the_page_is_current() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == reference.page(), (
        "run: python -m ml_pipeline.settings.reference > docs/configuration.md"
    )


@pytest.mark.parametrize("path", [path for path, _ in leaves()], ids=dotted)
def test_every_key_has_a_meaning(path) -> None:
    assert meaning(path) or meaning(path[:-1])


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_repository_leads_to_its_example() -> None:
    assert load(ROOT, environ={}).source == ROOT / "examples" / "freshmart"
