import pandas as pd
import pytest


@pytest.fixture
def flights():
    """Three flights: on the way, without weather, cancelled."""
    common = {"year": 2013, "month": 6, "day": 1, "origin": "JFK", "distance": 1400}
    hour = {"time_hour": "2013-06-01T21:00:00Z", "flight": 7, "carrier": "UA"}
    on_its_way = {
        "dest": "IAH",
        "sched_dep_time": 1730,
        "dep_time": 1732.0,
        "dep_delay": 2.0,
        "sched_arr_time": 2015,
        "arr_time": 2030.0,
        "arr_delay": 15.0,
        "air_time": 190.0,
        "tailnum": "N1",
    }
    first = common | hour | on_its_way
    return pd.DataFrame(
        [
            first,
            first | {"flight": 8, "time_hour": "2013-06-01T22:00:00Z"},
            first | {"flight": 9, "dep_delay": None, "arr_delay": None},
        ]
    )


@pytest.fixture
def weather():
    report = {"temp": 70.0, "dewp": 50.0, "humid": 49.0, "precip": 0.0, "visib": 10.0}
    report |= {"origin": "JFK", "time_hour": "2013-06-01T21:00:00Z", "wind_speed": 8.0}
    return pd.DataFrame([report, report])
