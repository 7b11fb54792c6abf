"""What every table store owes: rows read without guessing, moved without change."""

import csv
import json
import math
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_pipeline.adapters.local.tables import PolarsTables
from ml_pipeline.domain.errors import DataError, StorageError
from tests.contract.table_rows import (
    AWARE,
    FORMATS,
    ids,
    policy,
    rows_of,
    saved,
)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("x,y\n", "has no rows"),
            ("x,y\n\n\n", "has no rows"),
            ("x,z\n1,2\n", "lacks 'y'; its columns are 'x', 'z'"),
            ("y\n1\n", "lacks 'x'"),
            ("x,y,x\n1,2,3\n", "has the column 'x' 2 times"),
            ("x,y\n1,2\n3\n", r"row 2 \(line 3\) has 1 cells, the header 2: '3'"),
            ("x,y\n1,2\n\n3,4,5\n", r"row 2 \(line 4\) has 3 cells, the header 2: '3,4,5'"),
            ('x,y\n"a,\nb",2\n"c,d"\n', r"row 2 \(line 4\) has 1 cells"),
            (b"x,y\n1,2\n\xff,3\n", "line 3 is not UTF-8"),
            (b"x\xff,y\n1,2\n", "line 1 is not UTF-8"),
            ('x,y\n1,2\n"3,4\n', "no readable CSV|has 1 cells"),
            ("x,y\n1,2\n3,\n,\n", r"empty, NaN or infinite in 2 of 3 rows, first in row 2: None"),
            ("x,y\n1,2\n3,NaN\n", "first in row 2: 'NaN'"),
            ("x,y\n1,2\n3,inf\n", "first in row 2: 'inf'"),
            ("x,y\n1,2\n3,late\n", "column 'y' holds 'late' in row 2: no number"),
        ],
    )
    def test_a_table_nobody_can_train_on_is_named(self, tables, file, text, says):
        path = file(text)
        with pytest.raises(DataError, match=says) as caught:
            tables.check_columns(path, policy())
        assert path.name in str(caught.value)
        assert caught.value.remedy.endswith(".")

    @pytest.mark.parametrize("name", ["none.csv", "none.parquet", "."])
    def test_a_file_that_is_not_there_is_named(self, tables, tmp_path, name):
        with pytest.raises(DataError, match="cannot be read"):
            tables.check_columns(tmp_path / name, policy())

    def test_what_is_called_parquet_and_is_none_is_refused(self, tables, file):
        with pytest.raises(DataError, match="no readable Parquet"):
            tables.check_columns(file("x,y\n1,2\n", "rows.parquet"), policy())

    def test_another_separator_is_recognised_in_the_remedy(self, tables, file):
        with pytest.raises(DataError) as caught:
            tables.check_columns(file("x;y\n1;2\n"), policy())
        assert 'data.separator = ";"' in caught.value.remedy
        with pytest.raises(DataError) as caught:
            tables.check_columns(file("x,y\n1,2\n", "rows.tsv"), policy())
        assert 'data.separator = ","' in caught.value.remedy

    @pytest.mark.parametrize(
        ("name", "sign"),
        [("a.csv", ","), ("a.semicolon.csv", ";"), ("a.tsv", "\t"), ("a.pipe.csv", "|")],
    )
    def test_the_name_of_a_file_says_what_parts_its_cells(self, tables, file, tmp_path, name, sign):
        text = 'x,y,z\n1.50,2,"a,;|\tb"\n3,4,c\n'
        target = tmp_path / name
        tables.convert(file(text, "from.csv"), target)
        assert target.read_text().splitlines()[0] == f"x{sign}y{sign}z"
        assert tables.check_columns(target, policy()) == 2
        tables.convert(target, tmp_path / "back.csv")
        assert (tmp_path / "back.csv").read_text() == text

    def test_an_uneven_row_between_semicolons_is_named(self, tables, file):
        with pytest.raises(DataError, match="has 3 cells, the header 2: '3;4;5'"):
            tables.check_columns(file("x;y\n1;2\n3;4;5\n", "rows.semicolon.csv"), policy())

    def test_all_absent_columns_are_named_at_once(self, tables, file):
        asked = policy(features=("x", "z"), time_column="at", key_columns=("id",))
        with pytest.raises(DataError, match="lacks 'z', 'at', 'id'"):
            tables.check_columns(file("x,y\n1,2\n"), asked)

    @pytest.mark.parametrize(
        "text",
        [
            "x,y\n1,2\n3,4\n",
            "x,y\n1,2\n3,4",
            "x,y\r\n1,2\r\n3,4\r\n",
            "\ufeffx,y\n1,2\n3,4\n",
            "\n\nx,y\n\n1,2\n\n3,4\n\n\n",
            'x,y\n"1,5",2\n"""a""\n,b",4\n',
            '"x",y\n" 1",2\n,4\n',
        ],
    )
    def test_two_rows_are_two_rows_however_they_are_written(self, tables, file, text):
        assert tables.check_columns(file(text), policy()) == 2

    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize("bad", [None, math.nan, math.inf])
    def test_a_target_without_a_value_is_refused_in_both_formats(self, tables, tmp_path, form, bad):
        frame = pl.DataFrame({"x": [1, 2], "y": [0.5, bad]})
        with pytest.raises(DataError, match="1 of 2 rows, first in row 2"):
            tables.check_columns(saved(frame, tmp_path, form), policy())

    def test_a_text_target_is_read_by_its_classes(self, tables, file):
        path = file("x,y\n1,late\n2,ok\n")
        assert tables.check_columns(path, policy(classes=("ok", "late"))) == 2
        with pytest.raises(DataError, match=r"'late' in row 1: none of 'data.classes' \(ok\)"):
            tables.check_columns(path, policy(classes=("ok",)))


class TestColumns:
    @pytest.mark.parametrize("form", FORMATS)
    def test_numbers_come_as_floats_and_missing_ones_as_nan(self, tables, tmp_path, form):
        frame = pl.DataFrame({"i": [1, None], "f": [0.1, None], "b": [True, None]})
        path = saved(frame, tmp_path, form)
        for name, first in (("i", 1.0), ("f", 0.1), ("b", 1.0)):
            values = tables.column(path, name)
            assert values[0] == first
            assert math.isnan(values[1])
            assert all(type(value) is float for value in values)

    @pytest.mark.parametrize("mark", ["", "NA", "NaN", "null", "None", '""'])
    def test_what_other_tools_write_for_no_value_is_one(self, tables, file, mark):
        values = tables.column(file(f"x,y\n1,2\n{mark},3\n"), "x")
        assert math.isnan(values[1])

    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize(
        ("values", "classes", "expected"),
        [
            (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
            ([1, 0, 1], ("0", "1"), [1, 0, 1]),
            ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
            ([True, False, True], ("False", "True"), [1, 0, 1]),
            (["007", "7", "07"], ("7", "007", "07"), [1, 0, 2]),
        ],
    )
    def test_labels_come_as_their_positions(
        self, tables, tmp_path, form, values, classes, expected
    ):
        path = saved(pl.DataFrame({"y": values, "z": 1}), tmp_path, form)
        assert tables.column(path, "y", classes) == expected

    def test_a_column_of_text_is_no_number(self, tables, file):
        with pytest.raises(DataError, match="'x' holds 'a' in row 2: no number; 2 of 3 rows"):
            tables.column(file("x,y\n1,1\na,1\nb,1\n"), "x")

    def test_a_column_that_is_not_there_is_named(self, tables, file):
        with pytest.raises(DataError, match="lacks 'z'"):
            tables.column(file("x,y\n1,2\n"), "z")

    @pytest.mark.parametrize("form", FORMATS)
    def test_records_are_json_in_the_order_asked_for(self, tables, tmp_path, form):
        frame = pl.DataFrame(
            {
                "i": [1, None, 3],
                "f": [0.1, 2.0, None],
                "b": [True, False, None],
                "s": ["a", "", "c"],
            }
        )
        found = tables.records(saved(frame, tmp_path, form), ["s", "f", "i", "b"], 2)
        assert found == [["a", 0.1, 1, True], ["", 2.0, None, False]]
        assert json.loads(json.dumps(found, allow_nan=False)) == found

    def test_times_in_parquet_become_iso_text_in_records(self, tables, tmp_path):
        frame = pl.DataFrame({"at": [datetime(2024, 1, 2, 3, tzinfo=UTC)]})
        found = tables.records(saved(frame, tmp_path, "parquet"), ["at"], 1)
        assert found == [["2024-01-02T03:00:00.000000Z"]]

    def test_a_number_json_cannot_hold_is_refused(self, tables, file):
        with pytest.raises(DataError, match="inf in row 1, which JSON cannot"):
            tables.records(file("x,y\ninf,2\n"), ["x"], 1)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)
cells = st.one_of(texts, st.integers().map(str), st.floats(allow_nan=False).map(repr))


class TestRoundTrip:
    @given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12))
    @settings(deadline=None, max_examples=60)
    def test_csv_cells_leave_as_they_came(self, tmp_path_factory, rows):
        """`007`, `1.50`, ` a `, `2^63`: rows that only move are not interpreted."""
        folder = tmp_path_factory.mktemp("round")
        source, target = folder / "a.csv", folder / "b.csv"
        with source.open("w", newline="") as out:
            writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writerows([("a", "b", "c"), *rows])
        assert PolarsTables().sample(source, target, rows=100, seed=0) == len(rows)
        with target.open(newline="") as back:
            assert [tuple(row) for row in csv.reader(back)][1:] == rows

    @given(
        st.lists(
            st.tuples(
                st.none() | st.integers(-(2**63), 2**63 - 1),
                st.none() | st.floats(allow_nan=False, allow_infinity=False),
                st.none() | texts.map("t".__add__),
                st.none() | st.booleans(),
            ),
            min_size=1,
            max_size=12,
        )
    )
    @settings(deadline=None, max_examples=60)
    def test_typed_values_survive_the_way_through_csv(self, tmp_path_factory, rows):
        folder = tmp_path_factory.mktemp("round")
        schema = {"i": pl.Int64, "f": pl.Float64, "s": pl.String, "b": pl.Boolean}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        frame.write_parquet(folder / "a.parquet")
        store = PolarsTables()
        store.sample(folder / "a.parquet", folder / "b.csv", rows=100, seed=0)
        store.sample(folder / "b.csv", folder / "c.csv", rows=100, seed=0)
        assert pl.read_csv(folder / "c.csv", schema=schema).rows() == rows

    def test_times_leave_parquet_in_iso_8601(self, tables, tmp_path):
        frame = pl.DataFrame(
            {
                "aware": [AWARE.replace(hour=3, minute=4, second=5, microsecond=678)],
                "naive": [AWARE.replace(tzinfo=None)],
                "day": [AWARE.date()],
            }
        )
        tables.sample(saved(frame, tmp_path, "parquet"), tmp_path / "b.csv", rows=1, seed=0)
        assert (tmp_path / "b.csv").read_text().splitlines()[1] == (
            "2024-01-02T03:04:05.000678Z,2024-01-02T00:00:00.000000,2024-01-02"
        )

    def test_lists_do_not_fit_into_csv(self, tables, tmp_path):
        path = saved(pl.DataFrame({"x": [[1, 2]]}), tmp_path, "parquet")
        with pytest.raises(DataError, match="column 'x' holds List"):
            tables.sample(path, tmp_path / "b.csv", rows=1, seed=0)

    @pytest.mark.parametrize("target", ["/dev/full", "/nowhere/b.csv", "/nowhere/b.parquet"])
    def test_a_full_disk_is_not_the_datas_fault(self, tables, tmp_path, target):
        path = saved(rows_of(5000), tmp_path, "csv")
        with pytest.raises(StorageError, match="cannot be written") as caught:
            tables.sample(path, type(tmp_path)(target), rows=5000, seed=0)
        assert caught.value.retryable


class TestSample:
    def test_the_seed_decides_and_rows_keep_their_order(self, tables, tmp_path):
        path = saved(rows_of(100), tmp_path, "csv")
        drawn = []
        for seed in (0, 0, 1):
            assert tables.sample(path, tmp_path / "few.csv", rows=10, seed=seed) == 10
            drawn.append([int(name.removeprefix("order-")) for name in ids(tmp_path / "few.csv")])
        assert drawn[0] == drawn[1] != drawn[2]
        assert all(sorted(set(rows)) == rows for rows in drawn)

    def test_fewer_rows_than_asked_for_are_all_taken(self, tables, tmp_path):
        path = saved(rows_of(5), tmp_path, "csv")
        assert tables.sample(path, tmp_path / "few.csv", rows=10, seed=0) == 5


def test_no_time_zone_database_is_needed(tmp_path):
    """Slim containers have none; polars then fails on any Datetime with a zone in Python."""
    code = """
import sys, zoneinfo
sys.modules["tzdata"] = None
zoneinfo.reset_tzpath(to=())
from pathlib import Path
from ml_pipeline.adapters.local.tables import PolarsTables
from ml_pipeline.domain.policies.data import DataPolicy

here = Path()
data = DataPolicy(path="r", target="y", features=("x",), time_column="at")
parts = {"training": here / "t.csv", "holdout": here / "h.csv", "fingerprints": here / "f"}
told = PolarsTables().split(here / "rows.parquet", data, **parts, cutoff=None)
print(told.newest.isoformat())
"""
    frame = rows_of(10).with_columns(at=pl.col("at").str.to_datetime(time_zone="UTC"))
    saved(frame, tmp_path, "parquet")
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2024-01-01T09:00:00+00:00", done.stderr
