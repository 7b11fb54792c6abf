"""The served model, asked as the delivery app asks it."""

import json
import math
import urllib.request

import pytest

from features import FEATURES, TARGET, features_of
from generate_test_data import deliveries


@pytest.fixture(scope="module")
def samples(n_samples):
    return [{k: str(v) for k, v in row.items()} for row in deliveries(n_samples, seed=99)]


def ask(endpoint, samples):
    rows = [list(features_of(row).values()) for row in samples]
    body = json.dumps({"dataframe_split": {"columns": FEATURES, "data": rows}}).encode()
    request = urllib.request.Request(
        f"{endpoint}/invocations", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["predictions"]


def test_every_delivery_gets_a_time_one_can_promise(endpoint, samples):
    for row in samples:
        (minutes,) = ask(endpoint, [row])
        assert math.isfinite(minutes)
        assert 3 <= minutes <= 120


def test_a_batch_is_answered_as_its_rows_are(endpoint, samples):
    batch = ask(endpoint, samples[:20])
    alone = [ask(endpoint, [row])[0] for row in samples[:20]]
    assert batch == pytest.approx(alone, rel=1e-5)


def test_the_promise_is_kept_on_average(endpoint, samples):
    answers = zip(ask(endpoint, samples), samples, strict=True)
    off = [abs(minutes - float(row[TARGET])) for minutes, row in answers]
    assert sum(off) / len(off) < 4
