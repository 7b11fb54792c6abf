import pytest

from dataset import COLUMNS, TARGET, build

KNOWN_ONLY_LATER = ["dep_time", "arr_time", "air_time", "arr_delay"]


def test_one_row_for_the_flight_that_arrived_and_has_weather(flights, weather):
    (row,) = build(flights, weather).to_dict(orient="records")
    assert row["flight_id"] == "UA7-20130601-JFK"
    assert row["sched_dep_minute"] == 17 * 60 + 30
    assert row["sched_block_minutes"] == 165
    assert row["weekday"] == 5
    assert row["temp"] == 70
    assert row[TARGET] == 15


def test_a_flight_over_midnight_is_not_minus_20_hours_long(flights, weather):
    flights["sched_dep_time"], flights["sched_arr_time"] = 2310, 125
    assert build(flights, weather)["sched_block_minutes"].tolist() == [135]


@pytest.mark.parametrize("column", KNOWN_ONLY_LATER)
def test_what_is_known_only_later_moves_no_feature(column, flights, weather):
    before = build(flights, weather)[COLUMNS]
    flights[column] += 100
    assert build(flights, weather)[COLUMNS].equals(before)


@pytest.mark.parametrize("column", KNOWN_ONLY_LATER)
def test_what_is_known_only_later_is_no_feature(column):
    assert column not in COLUMNS
