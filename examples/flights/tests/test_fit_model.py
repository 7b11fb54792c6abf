import argparse

import numpy as np
import pandas as pd
import pytest

from dataset import COLUMNS, TARGET, TEXT
from fit_model import fit, option


@pytest.fixture
def table():
    random = np.random.default_rng(1)
    table = pd.DataFrame({name: random.uniform(0, 100, 400) for name in COLUMNS})
    for name in TEXT:
        table[name] = random.choice(["AA", "BB", "CC"], 400)
    table[TARGET] = table["dep_delay"] - 5 + 10 * (table["dest"] == "BB")
    return table


def test_the_delay_follows_departure_and_destination(table):
    model, scores = fit(table)
    assert scores["mae"] < 5
    at_bb = table.assign(dest="BB")[COLUMNS]
    at_aa = table.assign(dest="AA")[COLUMNS]
    assert np.mean(model.predict(at_bb) - model.predict(at_aa)) > 5


def test_a_new_airport_gets_a_prediction(table):
    model, _ = fit(table, rounds=5)
    answer = model.predict(table.assign(dest="???")[COLUMNS])
    assert np.isfinite(answer).all()


def test_twice_the_same(table):
    once, again = (fit(table, rounds=5)[0].predict(table[COLUMNS]) for _ in range(2))
    assert np.array_equal(once, again)


def test_options_are_read_and_wrong_ones_refused():
    assert option("num_leaves=15") == ("num_leaves", 15)
    with pytest.raises(argparse.ArgumentTypeError):
        option("leaves=15")
