import numpy as np
import pytest

import train
from features import FEATURES, TARGET, features_of
from generate_test_data import deliveries


@pytest.fixture(scope="module")
def table():
    made = deliveries(600, seed=3)
    features = [list(features_of({k: str(v) for k, v in row.items()}).values()) for row in made]
    return np.array(features, dtype=float), np.array([row[TARGET] for row in made])


def fitted(table, **hyperparameters):
    return train.train(*table, n_estimators=30, random_state=0, **hyperparameters)


def test_the_model_beats_the_average_delivery(table):
    _, minutes = table
    _, metrics = fitted(table, max_depth=4)
    average = np.abs(minutes[-60:] - minutes[:-60].mean()).mean()
    assert metrics["mae_minutes"] < 0.6 * average


def test_the_same_seed_gives_the_same_model(table):
    features, _ = table
    first, second = (fitted(table, max_depth=3)[0].predict(features) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_delivery_further_away_takes_longer(table):
    model, _ = fitted(table, max_depth=4)
    near, far = model.predict([delivery(1.0), delivery(5.0)])
    assert far > near + 5


def delivery(km):
    known = {"items": 8, "waiting_per_courier": 1, "traffic_index": 1.2, "hour": 12}
    known |= {"distance_km": km, "ride_km": km * 1.2, "rain_mm": 0, "weekend": 0}
    return [known[name] for name in FEATURES]


def test_a_table_is_read_in_the_order_of_the_features(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"{TARGET},{','.join(reversed(FEATURES))}\n30,8,7,6,5,4,3,2,1\n")
    features, minutes = train.load(path)
    assert features.tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert minutes.tolist() == [30]
