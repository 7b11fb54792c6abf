import csv

import pytest

from features import FEATURES, TARGET, build, features_of
from generate_test_data import COLUMNS, deliveries

SATURDAY_NOON = {
    "ordered_at": "2026-01-10T12:30:00Z",
    "distance_km": "3.0",
    "items": "7",
    "orders_waiting": "9",
    "couriers_on_shift": "6",
    "traffic_index": "1.2",
    "rain_mm": "0.4",
}


def test_features_of_a_delivery():
    assert features_of(SATURDAY_NOON) == {
        "distance_km": 3.0,
        "items": 7,
        "waiting_per_courier": 1.5,
        "traffic_index": 1.2,
        "ride_km": 3.6,
        "rain_mm": 0.4,
        "hour": 12,
        "weekend": 1,
    }


def test_features_do_not_look_at_the_answer():
    """They are asked for when the order is placed, long before anybody knows the minutes."""
    assert TARGET not in SATURDAY_NOON
    assert TARGET not in FEATURES


def test_a_delivery_without_couriers_is_refused():
    with pytest.raises(ZeroDivisionError):
        features_of(SATURDAY_NOON | {"couriers_on_shift": "0"})


def test_the_table_keeps_every_delivery_in_order(tmp_path):
    raw, table = tmp_path / "raw.csv", tmp_path / "table.csv"
    made = deliveries(50, seed=1)
    with raw.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(made)

    assert build(raw, table) == 50
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["order_id"] for row in rows] == [row["order_id"] for row in made]
    assert [float(row[TARGET]) for row in rows] == [row[TARGET] for row in made]
    assert set(rows[0]) == {"order_id", "ordered_at", TARGET, *FEATURES}
