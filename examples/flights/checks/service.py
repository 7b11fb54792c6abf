"""Ask the served model about flights it has to know.

Usage: python checks/service.py http://host:port [how-many-flights]
"""

import json
import os
import sys
from urllib.request import Request, urlopen

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "pipeline"))
from dataset import COLUMNS, TARGET, build, source  # noqa: E402


def ask(url, flights):
    split = flights[COLUMNS].to_dict(orient="split", index=False)
    request = Request(
        url.rstrip("/") + "/invocations",
        json.dumps({"dataframe_split": split}).encode(),
        {"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)["predictions"]


def check(url, how_many):
    flights = build(source("flights.csv.zip", nrows=20_000), source("weather.csv"))
    flights = flights.sample(how_many, random_state=13)
    delays = ask(url, flights)
    assert len(delays) == how_many, f"{how_many} flights, {len(delays)} answers"

    off = (flights[TARGET] - delays).abs().mean()
    assert off < 25, f"off by {off:.1f} minutes on average"

    for i in range(how_many):
        (alone,) = ask(url, flights.iloc[[i]])
        assert abs(alone - delays[i]) < 0.01, f"{alone} alone, {delays[i]} in a batch"

    late = flights.iloc[[0]].assign(dep_delay=180.0)
    assert ask(url, late)[0] > 100, "three hours late at the gate, and on time again"
    unknown = flights.iloc[[0]].assign(carrier="ZZ", dest="XXX")
    assert len(ask(url, unknown)) == 1, "a new airline must not break it"
    print(f"{how_many} flights, off by {off:.1f} minutes on average")


if __name__ == "__main__":
    check(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100)
