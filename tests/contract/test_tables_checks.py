"""Rows held against what was declared, and against those a model was accepted on."""

import json

import numpy as np
import polars as pl
import pytest

from ml_pipeline.domain.errors import DataError
from tests.contract.table_rows import FORMATS, policy, rows_of, saved


class TestValidate:
    def red(self, tables, path, **more):
        checks = tables.validate(path, policy(min_rows=1, **more))
        assert checks
        return {check.name: check for check in checks if not check.passed}

    def test_good_rows_pass_every_check_with_what_was_measured(self, tables, tmp_path):
        columns = {
            "id": {"type": "text", "unique": True},
            "at": {"type": "time"},
            "x": {"min": 0, "max": 20},
            "kind": {"type": "text", "allowed": ["a", "b"]},
            "y": {"type": "integer", "min": 0},
        }
        asked = policy(time_column="at", key_columns=("id",), columns=columns)
        for form in FORMATS:
            checks = tables.validate(saved(rows_of(100), tmp_path, form), asked)
            assert [check.name for check in checks if not check.passed] == []
            names = {check.name for check in checks}
            assert {"rows", "columns", "x: range", "kind: allowed", "id: unique"} <= names
            assert all(check.value is not None and check.limit is not None for check in checks)

    @pytest.mark.parametrize(
        ("column", "cells", "fault"),
        [
            (
                {"min": 0, "max": 5},
                "1,9,-1,",
                ("range", 0.5, "outside 0 to 5; first in row 2: '9'"),
            ),
            ({"min": 0}, "1,2,-1,4", ("range", 0.25, "1 of 4 rows lie outside 0 to inf")),
            ({"max": 0}, "1,2,-1,4", ("range", 0.75, "3 of 4 rows lie outside -inf to 0")),
            ({}, "1,x,3,inf", ("type", 0.5, "2 of 4 rows hold no number; first in row 2: 'x'")),
            ({}, "true,false,true,true", ("type", 1.0, "hold no number")),
            ({"type": "integer"}, "1,2.5,3.0,4", ("type", 0.25, "row 2: '2.5'")),
            ({"type": "boolean"}, "true,1,False,yes", ("type", 0.25, "row 4: 'yes'")),
            ({"type": "time"}, "2024-01-01,soon,2024-01-02,1", ("type", 0.5, "row 2: 'soon'")),
            ({"max_missing_share": 0.25}, "1,,NA,4", ("missing", 0.5, "first in row 2: empty")),
            ({"type": "text"}, "a,,NA,b", ("missing", 0.25, "first in row 2: empty")),
            ({"type": "text", "allowed": ["a", "b"]}, "a,c,b,A", ("allowed", 0.5, "row 2: 'c'")),
            (
                {"allowed": ["1", "2"]},
                "1,2.0,3,1",
                ("allowed", 0.25, "none of 1, 2; first in"),
            ),
            ({"type": "text", "unique": True}, "a,b,a,a", ("unique", 0.5, "row 3: 'a'")),
        ],
    )
    def test_a_fault_is_measured_and_its_first_row_named(self, tables, file, column, cells, fault):
        name, value, says = fault
        path = file("x,y\n" + "".join(f"{cell},1\n" for cell in cells.split(",")))
        if name != "missing":
            column = {"max_missing_share": 1, **column}
        red = self.red(tables, path, columns={"x": column})
        assert set(red) == {f"x: {name}"}
        assert red[f"x: {name}"].value == value
        assert says in red[f"x: {name}"].message

    def test_missing_rows_within_the_share_allowed_pass(self, tables, file):
        path = file("x,y\n1,1\n,1\n3,1\n4,1\n")
        assert not self.red(tables, path, columns={"x": {"max_missing_share": 0.25, "min": 1}})

    def test_too_few_rows_are_red(self, tables, file):
        (check,) = [
            check
            for check in tables.validate(file("x,y\n1,2\n"), policy(min_rows=5))
            if not check.passed
        ]
        assert (check.name, check.value, check.limit) == ("rows", 1, 5)

    def test_absent_columns_are_red_and_named(self, tables, file):
        red = self.red(tables, file("x,z\n1,2\n"), columns={"w": {}})
        assert set(red) == {"columns", "y: present", "w: present"}
        assert "'y'" in red["columns"].message

    def test_the_target_and_the_time_are_checked_without_being_declared(self, tables, file):
        red = self.red(tables, file("x,y,at\n1,a,soon\n"), time_column="at")
        assert set(red) == {"y: type", "at: type"}
        red = self.red(tables, file("x,y\n1,a\n2,c\n"), classes=("a", "b"))
        assert set(red) == {"y: allowed"}

    def test_a_number_is_no_text_in_parquet(self, tables, tmp_path):
        path = saved(pl.DataFrame({"x": [1, 2], "y": [1, 2]}), tmp_path, "parquet")
        assert set(self.red(tables, path, columns={"x": {"type": "text"}})) == {"x: type"}


class TestDrift:
    ASKED = policy(features=("x", "kind", "flag", "code"), columns={"code": {"type": "text"}})

    def frame(self, n, seed=0, shift=0.0, **more):
        rng = np.random.default_rng(seed)
        return pl.DataFrame(
            {
                "x": rng.normal(shift, 1, n),
                "kind": rng.choice(["a", "b", "c"], n),
                "flag": rng.random(n) < 0.3,
                "code": rng.choice(["007", "7", "12"], n),
                "y": rng.integers(0, 3, n),
            }
        ).with_columns(**more)

    def drifted(self, tables, tmp_path, before, now, form="csv"):
        known = tables.baseline(saved(before, tmp_path, form), self.ASKED, bins=10)
        kept = json.loads(json.dumps(known, allow_nan=False))
        psi = tables.drift(saved(now, tmp_path, "csv", "now"), kept)
        assert set(psi) == {"x", "kind", "flag", "code", "y"}
        return {name for name, value in psi.items() if value > 0.2}

    @pytest.mark.parametrize("form", FORMATS)
    def test_the_same_kind_of_rows_have_not_drifted(self, tables, tmp_path, form):
        before, now = self.frame(500, 1), self.frame(500, 2)
        assert self.drifted(tables, tmp_path, before, now, form) == set()

    @pytest.mark.parametrize(
        ("column", "expression"),
        [
            ("x", pl.col("x") + 1),
            ("x", pl.when(pl.col("y") == 0).then(None).otherwise(pl.col("x"))),
            ("x", pl.when(pl.col("y") == 0).then(pl.lit("broken")).otherwise(pl.col("x"))),
            ("kind", pl.when(pl.col("y") == 0).then(pl.lit("new")).otherwise(pl.col("kind"))),
            ("kind", pl.when(pl.col("y") == 0).then(None).otherwise(pl.col("kind"))),
            ("flag", ~pl.col("flag")),
            ("code", pl.col("code").replace("007", "7")),
            ("y", pl.col("y") + 1),
        ],
    )
    def test_the_column_that_moved_is_the_one_that_is_named(
        self, tables, tmp_path, column, expression
    ):
        now = self.frame(500, 2, **{column: expression.alias(column)})
        assert self.drifted(tables, tmp_path, self.frame(500, 1), now) == {column}

    def test_a_baseline_is_small_json_and_counts_every_row(self, tables, tmp_path):
        many = self.frame(400).with_columns(kind=pl.format("k{}", pl.int_range(pl.len())))
        known = tables.baseline(saved(many, tmp_path, "csv"), self.ASKED, bins=10)
        for histogram in known["columns"].values():
            total = sum(histogram["counts"]) + histogram["other"] + histogram["missing"]
            assert total == known["rows"] == 400
            assert len(histogram["counts"]) <= 50
        assert known["columns"]["kind"]["other"] == 350

    def test_a_column_gone_since_is_an_error(self, tables, tmp_path):
        known = tables.baseline(saved(self.frame(300), tmp_path, "csv"), self.ASKED, bins=10)
        now = saved(self.frame(300).drop("kind"), tmp_path, "csv", "now")
        with pytest.raises(DataError, match="lacks 'kind'"):
            tables.drift(now, known)

    @pytest.mark.parametrize("broken", [{}, {"format": 2}, {"format": 1, "rows": 5, "columns": 3}])
    def test_a_baseline_that_cannot_be_read_is_not_no_drift(self, tables, tmp_path, broken):
        now = saved(self.frame(300), tmp_path, "csv", "now")
        with pytest.raises(DataError, match="drift baseline is not readable"):
            tables.drift(now, broken)
