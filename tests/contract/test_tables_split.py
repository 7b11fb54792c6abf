"""What is held out: by time or by key, for good."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ml_pipeline.domain.errors import ConfigurationError, DataError
from tests.contract.table_rows import FORMATS, ids, parts, policy, rows_of, saved


class TestSplitByTime:
    @pytest.mark.parametrize("form", FORMATS)
    def test_the_newest_share_is_held_out(self, tables, tmp_path, form):
        path = saved(rows_of(100).sample(fraction=1, shuffle=True, seed=1), tmp_path, form)
        asked = policy(time_column="at", holdout_share=0.2)
        told = tables.split(path, asked, **parts(tmp_path), cutoff=None)
        start = datetime(2024, 1, 1, tzinfo=UTC)
        assert (told.training_rows, told.holdout_rows) == (80, 20)
        assert told.cutoff == start + timedelta(hours=80)
        assert told.trained_through == start + timedelta(hours=79)
        assert told.newest == start + timedelta(hours=99)
        held = set(ids(tmp_path / "holdout.csv"))
        assert held == {f"order-{row}" for row in range(80, 100)}
        assert set(ids(tmp_path / "training.csv")) == set(rows_of(100)["id"]) - held

    @pytest.mark.parametrize("where", ["settings", "argument", "both"])
    def test_a_cutoff_decides_instead_and_the_argument_wins(self, tables, tmp_path, where):
        day, other = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)
        asked = policy(time_column="at", cutoff={"settings": day, "both": other}.get(where))
        given_cutoff = None if where == "settings" else day
        path = saved(rows_of(100), tmp_path, "csv")
        told = tables.split(path, asked, **parts(tmp_path), cutoff=given_cutoff)
        assert (told.training_rows, told.holdout_rows, told.cutoff) == (24, 76, day)

    def test_a_cutoff_without_a_zone_is_utc(self, tables, tmp_path):
        path = saved(rows_of(100), tmp_path, "csv")
        aware = datetime(2024, 1, 2, tzinfo=UTC)
        naive = aware.replace(tzinfo=None)
        told = tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=naive)
        assert told.cutoff == aware

    def test_rows_of_one_time_stay_together(self, tables, tmp_path, file):
        days = "".join(f"{n},2024-01-0{1 + n // 4}\n" for n in range(12))
        asked = policy(time_column="at", features=("at",))
        told = tables.split(file(f"y,at\n{days}"), asked, **parts(tmp_path), cutoff=None)
        assert (told.training_rows, told.holdout_rows) == (8, 4)

    @pytest.mark.parametrize("year", [2023, 2025])
    def test_a_side_without_rows_is_an_error(self, tables, tmp_path, year):
        path = saved(rows_of(100), tmp_path, "csv")
        cutoff = datetime(year, 1, 1, tzinfo=UTC)
        with pytest.raises(DataError, match="none of 100 rows is"):
            tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=cutoff)

    def test_rows_of_a_single_time_cannot_be_split(self, tables, tmp_path, file):
        path = file("x,y,at\n1,2,2024-01-01\n3,4,2024-01-01\n")
        with pytest.raises(DataError, match="no cut-off parts them"):
            tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=None)

    def test_a_cutoff_needs_a_time_column(self, tables, tmp_path):
        path = saved(rows_of(10), tmp_path, "csv")
        with pytest.raises(ConfigurationError, match="time_column"):
            tables.split(path, policy(), **parts(tmp_path), cutoff=datetime(2024, 1, 1, tzinfo=UTC))

    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("2024-03-01", "2024-03-01T00:00:00+00:00"),
            ("2024-03-01 04:05", "2024-03-01T04:05:00+00:00"),
            ("2024-03-01T04:05:06", "2024-03-01T04:05:06+00:00"),
            ("2024-03-01T04:05:06.5Z", "2024-03-01T04:05:06.500000+00:00"),
            ("2024-03-01T04:05:06.123456789z", "2024-03-01T04:05:06.123456+00:00"),
            ("2024-03-01T04:05:06+02:30", "2024-03-01T01:35:06+00:00"),
            ("2024-03-01 04:05:06 -0800", "2024-03-01T12:05:06+00:00"),
            ("2024-03-01T04:05:06+01", "2024-03-01T03:05:06+00:00"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59+00:00"),
        ],
    )
    def test_iso_8601_is_read_and_naive_times_are_utc(self, tables, tmp_path, file, cell, expected):
        path = file(f"x,y,at\n1,2,{cell}\n3,4,1960-01-01\n")
        told = tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=None)
        assert told.newest.isoformat() == expected

    @pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
    def test_epoch_numbers_are_read_in_their_unit(self, tables, tmp_path, file, unit):
        first, second = 1_700_000_000 * unit, 1_700_000_060 * unit
        path = file(f"x,y,at\n1,2,{first}\n3,4,{second}\n")
        told = tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=None)
        assert told.newest == datetime.fromtimestamp(1_700_000_060, UTC)

    @pytest.mark.parametrize(
        ("cells", "row", "said"),
        [
            (("2024-01-01", "yesterday"), 2, "'yesterday', no time we can read"),
            (("2024-01-01", "2024-13-01"), 2, "'2024-13-01'"),
            (("01/02/2024", "2024-01-01"), 1, "'01/02/2024'"),
            (("2024-01-01", "1700000000"), 2, "'1700000000'"),
            (("2024-01-01", ""), 2, "is empty"),
            (("20240101", "20240102"), 1, "'20240101'"),
            (("1700000000", "1700000000000"), 2, "'1700000000000'"),
            (("3", "4"), 1, "'3'"),
            (("true", "false"), 1, "'true'"),
        ],
    )
    def test_a_time_that_cannot_be_read_is_named(self, tables, tmp_path, file, cells, row, said):
        path = file(f"x,y,at\n1,2,{cells[0]}\n3,4,{cells[1]}\n")
        with pytest.raises(DataError, match=f"'at' of row {row} .*{said}"):
            tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=None)


class TestSplitByHash:
    KEYED = policy(key_columns=("id",), holdout_share=0.3)

    def held(self, tables, path, tmp_path, asked=KEYED):
        told = tables.split(path, asked, **parts(tmp_path), cutoff=None)
        assert (told.cutoff, told.trained_through, told.newest) == (None, None, None)
        held, kept = ids(tmp_path / "holdout.csv"), ids(tmp_path / "training.csv")
        assert (len(kept), len(held)) == (told.training_rows, told.holdout_rows)
        assert not set(held) & set(kept)
        return set(held)

    @pytest.mark.parametrize("form", FORMATS)
    def test_a_row_stays_on_its_side_whatever_else_changes(self, tables, tmp_path, form):
        before = self.held(tables, saved(rows_of(1000), tmp_path, "csv"), tmp_path)
        grown = rows_of(1500).with_columns(x=-pl.col("x"), new=pl.lit("column")).reverse()
        after = self.held(tables, saved(grown, tmp_path, form), tmp_path)
        assert {one for one in after if int(one.removeprefix("order-")) < 1000} == before
        assert len(before) == pytest.approx(300, abs=60)

    def test_a_known_row_is_on_a_known_side(self, tables, tmp_path):
        """Literal, so that another version, machine or polars that moves rows fails here."""
        held = self.held(tables, saved(rows_of(20), tmp_path, "csv"), tmp_path)
        assert held == {"order-6", "order-11"}

    def test_without_keys_the_whole_row_decides(self, tables, tmp_path):
        asked = policy(holdout_share=0.3)
        before = self.held(tables, saved(rows_of(300), tmp_path, "csv"), tmp_path, asked)
        again = saved(rows_of(300).select(reversed(rows_of(1).columns)), tmp_path, "parquet")
        assert self.held(tables, again, tmp_path, asked) == before
        changed = saved(rows_of(300).with_columns(x=pl.col("x") + 1), tmp_path, "csv")
        assert self.held(tables, changed, tmp_path, asked) != before

    def test_rows_with_the_same_key_stay_together(self, tables, tmp_path):
        frame = rows_of(500).with_columns(id=pl.format("shop-{}", pl.col("y") % 50))
        assert 0 < len(self.held(tables, saved(frame, tmp_path, "csv"), tmp_path)) < 50


class TestConversion:
    def test_rows_of_text_become_what_all_cells_of_a_column_are(self, tables, tmp_path, file):
        path = file(
            "code,count,share,good,at\n007,1,0.5,true,2024-01-01T00:00:00Z\n010,,1,false,\n"
        )
        tables.convert(path, tmp_path / "typed.parquet", text={"code"})
        typed = pl.read_parquet(tmp_path / "typed.parquet")
        assert typed.schema["at"].is_temporal()
        assert typed.drop("at").rows() == [("007", 1, 0.5, True), ("010", None, 1.0, False)]

    def test_parquet_keeps_its_types_on_the_way_through_the_split(self, tables, tmp_path):
        frame = rows_of(10).with_columns(good=pl.col("y") > 4)
        made = parts(tmp_path) | {"training": tmp_path / "training.parquet"}
        tables.split(
            saved(frame, tmp_path, "parquet"), policy(time_column="at"), **made, cutoff=None
        )
        training = pl.read_parquet(made["training"])
        assert training.schema == frame.schema
        tables.convert(made["training"], tmp_path / "training.csv")
        assert ids(tmp_path / "training.csv") == training["id"].to_list()
