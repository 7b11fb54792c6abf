"""Tables for the table store's contract, in both formats."""

from datetime import UTC, datetime, timedelta

import polars as pl

from ml_pipeline.domain.policies.data import DataPolicy

FORMATS = ("csv", "parquet")
HEADER = "id,at,x,kind,y"
AWARE = datetime(2024, 1, 2, tzinfo=UTC)


def policy(**more) -> DataPolicy:
    return DataPolicy(**{"path": "rows.csv", "target": "y", "features": ("x",), **more})


def hours(n, start=datetime(2024, 1, 1, tzinfo=UTC)):
    return [(start + timedelta(hours=hour)).isoformat() for hour in range(n)]


def rows_of(n) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"order-{row}" for row in range(n)],
            "at": hours(n),
            "x": [row / 7 for row in range(n)],
            "kind": ["ab"[row % 2] for row in range(n)],
            "y": list(range(n)),
        }
    )


def saved(frame, tmp_path, form, name="rows"):
    path = tmp_path / f"{name}.{form}"
    frame.write_csv(path) if form == "csv" else frame.write_parquet(path)
    return path


def parts(tmp_path):
    return {
        "training": tmp_path / "training.csv",
        "holdout": tmp_path / "holdout.csv",
        "fingerprints": tmp_path / "training.fingerprints",
    }


def ids(path):
    return pl.read_csv(path).get_column("id").to_list()
