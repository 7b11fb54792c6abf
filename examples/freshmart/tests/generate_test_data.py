"""Deliveries as the shops' system exports them, made up: the same seed gives the same file.

    python tests/generate_test_data.py --n-rows 8000 --output deliveries.csv

Ten weeks. From week five on the ring road is dug up, and week by week the shops deliver
further out: a model that learned from the first weeks knows neither.
"""

import argparse
import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
TRAFFIC_BY_WEEK = (1.00, 0.97, 1.03, 1.24, 1.28, 1.22, 1.27, 1.23, 1.29, 1.25)
RADIUS_KM_BY_WEEK = (4.5, 4.5, 4.5, 5.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0)
OPENS, CLOSES = 8, 22  # hours
RUSH_HOURS = (8, 9, 16, 17, 18)
COLUMNS = (
    "order_id",
    "ordered_at",
    "distance_km",
    "items",
    "orders_waiting",
    "couriers_on_shift",
    "traffic_index",
    "rain_mm",
    "delivery_minutes",
)


def deliveries(n_rows: int, seed: int) -> list[dict[str, object]]:
    """`n_rows` deliveries in the order they were placed, spread evenly over the ten weeks."""
    rng = random.Random(seed)
    days = 7 * len(TRAFFIC_BY_WEEK)
    times = sorted(
        (rng.randrange(days), rng.randrange(OPENS * 3600, CLOSES * 3600)) for _ in range(n_rows)
    )
    return [_delivery(rng, number, *time) for number, time in enumerate(times)]


def _delivery(rng: random.Random, number: int, day: int, second: int) -> dict[str, object]:
    week = day // 7
    at = FIRST_MONDAY + timedelta(days=day, seconds=second)
    rush = at.weekday() < 5 and at.hour in RUSH_HOURS
    couriers = rng.randint(4, 12)
    row: dict[str, object] = {
        "order_id": f"F{number:07d}",
        "ordered_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "distance_km": round(0.3 + (RADIUS_KM_BY_WEEK[week] - 0.3) * rng.random() ** 0.7, 2),
        "items": 1 + int(rng.expovariate(1 / 9)) % 40,
        "orders_waiting": rng.randint(0, 30 if rush else 16),
        "couriers_on_shift": couriers,
        "traffic_index": round(
            TRAFFIC_BY_WEEK[week] * (1.4 if rush else 1.0) * rng.lognormvariate(0.0, 0.22), 3
        ),
        "rain_mm": round(rng.expovariate(1 / 2.5), 1) if rng.random() < 0.3 else 0.0,
    }
    row["delivery_minutes"] = round(_minutes(rng, row), 1)
    return row


def _minutes(rng: random.Random, row: dict) -> float:
    picking = 4.0 + 0.35 * row["items"]
    waiting = 2.5 * row["orders_waiting"] / row["couriers_on_shift"]
    riding = 2.4 * row["distance_km"] * row["traffic_index"] * (1 + 0.06 * min(row["rain_mm"], 6))
    return max(5.0, picking + waiting + riding + rng.gauss(0.0, 1.8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-rows", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with args.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(deliveries(args.n_rows, args.seed))


if __name__ == "__main__":
    main()
