"""From exported deliveries to the columns the model reads.

    python src/features.py --input deliveries.csv --output table.csv

The delivery app calls `features_of` too, so training and serving cannot drift apart.
"""

import argparse
import csv
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

FEATURES = (
    "distance_km",
    "items",
    "waiting_per_courier",
    "traffic_index",
    "ride_km",
    "rain_mm",
    "hour",
    "weekend",
)
TARGET = "delivery_minutes"
CARRIED_OVER = ("order_id", "ordered_at", TARGET)


def features_of(delivery: Mapping[str, str]) -> dict[str, float]:
    """What the model reads about one delivery, all of it known when the order is placed."""
    at = datetime.fromisoformat(delivery["ordered_at"])
    distance_km = float(delivery["distance_km"])
    traffic = float(delivery["traffic_index"])
    return {
        "distance_km": distance_km,
        "items": int(delivery["items"]),
        "waiting_per_courier": round(
            int(delivery["orders_waiting"]) / int(delivery["couriers_on_shift"]), 4
        ),
        "traffic_index": traffic,
        # distance as the rider feels it: the ring road stretches every kilometre
        "ride_km": round(distance_km * traffic, 4),
        "rain_mm": float(delivery["rain_mm"]),
        "hour": at.hour,
        "weekend": int(at.weekday() >= 5),
    }


def build(source: Path, target: Path) -> int:
    """Write the table of `source`'s deliveries; how many rows it has."""
    rows = 0
    with (
        source.open(newline="", encoding="utf-8") as raw,
        target.open("w", newline="", encoding="utf-8") as table,
    ):
        writer = csv.DictWriter(table, (*CARRIED_OVER[:2], *FEATURES, TARGET))
        writer.writeheader()
        for delivery in csv.DictReader(raw):
            kept = {name: delivery[name] for name in CARRIED_OVER}
            writer.writerow(kept | features_of(delivery))
            rows += 1
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    print(f"{build(args.input, args.output)} deliveries written to {args.output}")


if __name__ == "__main__":
    main()
