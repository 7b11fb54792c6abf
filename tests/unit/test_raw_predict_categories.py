"""LightGBM's native models on categories of pandas, whose codes only the model's file knows."""

from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import ml_pipeline.entry


class Booster:
    """What LightGBM's loader makes of a model file that ends in `pandas_categorical:[…]`."""

    pandas_categorical = (["north", "south"],)


@pytest.fixture
def program(monkeypatch):
    """As the project's own Python finds it: a plain file beside others."""
    monkeypatch.syspath_prepend(str(Path(ml_pipeline.entry.__path__[0])))
    return import_module("raw_predict")


def test_texts_become_the_categories_the_model_was_trained_on(program) -> None:
    rows = pd.DataFrame({"km": [1.0, 2.0, 3.0], "shop": ["south", "east", None]}, dtype=object)
    rows["km"] = rows["km"].astype(float)
    made = program._categorized(Booster(), rows)
    assert made["shop"].cat.categories.tolist() == ["north", "south"]
    assert made["shop"].cat.codes.tolist() == [1, -1, -1]
    assert made["km"].tolist() == [1.0, 2.0, 3.0]


def test_rows_that_cannot_be_matched_with_categories_stay_as_they_are(program) -> None:
    rows = pd.DataFrame({"shop": ["south"], "day": ["monday"]}, dtype=object)
    assert program._categorized(Booster(), rows)["shop"].tolist() == ["south"]
