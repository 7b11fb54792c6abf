"""Rows a model was trained on are known again, however they are written."""

import hashlib
import json
import struct
from datetime import UTC, datetime

import polars as pl
import pytest

from ml_pipeline.domain.errors import DataError
from tests.contract.table_rows import FORMATS, HEADER, ids, parts, policy, rows_of, saved


class TestComparable:
    def seen(self, tables, tmp_path, frame, asked, form="csv"):
        """Fingerprints of a training that saw all rows of the frame but one far in the future."""
        folder = tmp_path / "earlier"
        folder.mkdir(exist_ok=True)
        late = frame.head(1).with_columns(at=pl.lit("2030-01-01T00:00:00+00:00"), id=pl.lit("late"))
        path = saved(pl.concat([frame, late.select(frame.columns)]), folder, form)
        cutoff = datetime(2029, 1, 1, tzinfo=UTC)
        tables.split(path, asked, **parts(folder), cutoff=cutoff)
        return folder / "training.fingerprints"

    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize("keys", [(), ("id",)])
    def test_rows_a_model_has_seen_are_left_out(self, tables, tmp_path, form, keys):
        asked = policy(time_column="at", key_columns=keys)
        seen = self.seen(tables, tmp_path, rows_of(30), asked, form)
        holdout = saved(rows_of(50).tail(30), tmp_path, "csv", "holdout")
        told = tables.comparable(holdout, asked, seen=[seen], target=tmp_path / "c.csv")
        assert (told.rows, told.seen_rows) == (20, 10)
        assert ids(tmp_path / "c.csv") == [f"order-{row}" for row in range(30, 50)]

    def test_a_row_any_of_the_models_has_seen_is_left_out(self, tables, tmp_path):
        asked = policy(time_column="at", key_columns=("id",))
        files = []
        for part, frame in enumerate((rows_of(10), rows_of(20).tail(5))):
            folder = tmp_path / str(part)
            folder.mkdir()
            files.append(self.seen(tables, folder, frame, asked))
        holdout = saved(rows_of(25), tmp_path, "csv", "holdout")
        told = tables.comparable(holdout, asked, seen=files, target=tmp_path / "c.csv")
        assert (told.rows, told.seen_rows) == (10, 15)

    def test_no_row_left_is_a_number_and_no_error(self, tables, tmp_path):
        asked = policy(time_column="at")
        seen = self.seen(tables, tmp_path, rows_of(30), asked)
        holdout = saved(rows_of(30), tmp_path, "csv", "holdout")
        told = tables.comparable(holdout, asked, seen=[seen], target=tmp_path / "c.csv")
        assert (told.rows, told.seen_rows) == (0, 30)
        assert (tmp_path / "c.csv").read_text().strip() == HEADER

    def test_a_column_added_since_hides_no_seen_row(self, tables, tmp_path):
        asked = policy(time_column="at")
        seen = self.seen(tables, tmp_path, rows_of(30), asked)
        wider = rows_of(30).with_columns(new=pl.lit(1))
        told = tables.comparable(
            saved(wider, tmp_path, "csv", "holdout"), asked, seen=[seen], target=tmp_path / "c.csv"
        )
        assert told.seen_rows == 30

    def test_a_column_gone_since_is_an_error_not_a_clean_bill(self, tables, tmp_path):
        asked = policy(time_column="at")
        seen = self.seen(tables, tmp_path, rows_of(30), asked)
        holdout = saved(rows_of(30).drop("kind"), tmp_path, "csv", "holdout")
        with pytest.raises(DataError, match="lacks 'kind'"):
            tables.comparable(holdout, asked, seen=[seen], target=tmp_path / "c.csv")

    @pytest.mark.parametrize("content", [None, b"", b"{}\n", b'{"format": 2}\n', b"12345678"])
    def test_fingerprints_that_cannot_be_read_are_no_absence_of_seen_rows(
        self, tables, tmp_path, content
    ):
        broken = tmp_path / "broken"
        if content is not None:
            broken.write_bytes(content)
        holdout = saved(rows_of(30), tmp_path, "csv", "holdout")
        with pytest.raises(DataError, match="broken holds no fingerprints"):
            tables.comparable(holdout, policy(), seen=[broken], target=tmp_path / "c.csv")

    def test_a_cut_off_fingerprint_file_is_refused(self, tables, tmp_path):
        asked = policy(time_column="at")
        seen = self.seen(tables, tmp_path, rows_of(30), asked)
        seen.write_bytes(seen.read_bytes()[:-3])
        holdout = saved(rows_of(30), tmp_path, "csv", "holdout")
        with pytest.raises(DataError, match="holds no fingerprints"):
            tables.comparable(holdout, asked, seen=[seen], target=tmp_path / "c.csv")

    @pytest.mark.parametrize(
        ("trained", "held"),
        [
            ("1", "1.0"),
            ("0.1", "0.10"),
            ("0.1", "1e-1"),
            ("1000000", "1e6"),
            ("-0.0", "0"),
            ("", "NaN"),
            ("true", "True"),
            ("2024-01-01", "2024-01-01T00:00:00Z"),
            ("2024-01-01T01:00:00+01:00", "2024-01-01 00:00"),
            (" a ", "a"),
            ("9007199254740992", "9007199254740992.0"),
        ],
    )
    @pytest.mark.parametrize("beside", ["word", "5", "0.5", ""])
    def test_a_value_is_the_same_however_it_is_written(
        self, tables, tmp_path, file, trained, held, beside
    ):
        """`beside`: what stands in the column's other rows, so in which type it is read."""
        asked = policy(time_column="at", features=("v",))
        rows = f"v,at,y\n{trained},2024-01-01,1\n{beside},2024-01-02,2\n"
        tables.split(file(rows), asked, **parts(tmp_path), cutoff=datetime(2024, 1, 2, tzinfo=UTC))
        again = file(f"v,at,y\n{held},2024-01-01,1\n", "again.csv")
        told = tables.comparable(
            again, asked, seen=[tmp_path / "training.fingerprints"], target=tmp_path / "c.csv"
        )
        assert told.seen_rows == 1

    @pytest.mark.parametrize(
        ("trained", "held"),
        [("1", "2"), ("a", "b"), ("a", "A"), ("0.1", "0.10000000000000002"), ("1", ""), ("a", "")],
    )
    def test_different_values_are_different_rows(self, tables, tmp_path, file, trained, held):
        asked = policy(time_column="at", features=("v",))
        rows = f"v,at,y\n{trained},2024-01-01,1\nq,2024-01-02,2\n"
        tables.split(file(rows), asked, **parts(tmp_path), cutoff=datetime(2024, 1, 2, tzinfo=UTC))
        again = file(f"v,at,y\n{held},2024-01-01,1\n", "again.csv")
        told = tables.comparable(
            again, asked, seen=[tmp_path / "training.fingerprints"], target=tmp_path / "c.csv"
        )
        assert told.seen_rows == 0

    def test_parquet_and_csv_have_the_same_fingerprints(self, tables, tmp_path):
        frame = rows_of(200).with_columns(
            at=pl.col("at").str.to_datetime(time_zone="UTC"),
            whole=pl.col("y").cast(pl.Float64),
            gap=pl.when(pl.col("y") % 3 > 0).then(pl.col("y")),
            flag=pl.col("y") % 2 == 0,
        )
        asked = policy(time_column="at")
        written = []
        for form in FORMATS:
            tables.split(saved(frame, tmp_path, form), asked, **parts(tmp_path), cutoff=None)
            written.append((tmp_path / "training.fingerprints").read_bytes())
        assert written[0] == written[1]

    def test_the_file_is_what_its_description_says(self, tables, tmp_path):
        asked = policy(time_column="at", key_columns=("id",))
        tables.split(saved(rows_of(10), tmp_path, "csv"), asked, **parts(tmp_path), cutoff=None)
        head, _, body = (tmp_path / "training.fingerprints").read_bytes().partition(b"\n")
        assert json.loads(head) == {"format": 1, "columns": ["id"], "rows": 8}
        prints = [body[start : start + 8] for start in range(0, len(body), 8)]
        assert prints == sorted(set(prints))
        assert hashlib.blake2b(b"id\x1etorder-3", digest_size=8).digest() in prints

    def test_a_whole_row_is_written_as_described(self, tables, tmp_path):
        """By hand, so that no other version of anything changes what was seen."""
        asked = policy(time_column="at")
        tables.split(saved(rows_of(10), tmp_path, "csv"), asked, **parts(tmp_path), cutoff=None)
        _, _, body = (tmp_path / "training.fingerprints").read_bytes().partition(b"\n")
        (bits,) = struct.unpack("<q", struct.pack("<d", 1 / 7))
        cells = ("@1704070800000000", "torder-1", "tb", f"f{bits}", "n1")
        row = "at\x1fid\x1fkind\x1fx\x1fy\x1e" + "\x1f".join(cells)
        print_ = hashlib.blake2b(row.encode(), digest_size=8).digest()
        assert print_ in [body[start : start + 8] for start in range(0, len(body), 8)]

    def test_a_row_cannot_be_known_by_a_list(self, tables, tmp_path):
        frame = pl.DataFrame({"x": [[1], [2]], "y": [1, 2], "at": ["2024-01-01", "2024-01-02"]})
        path = saved(frame, tmp_path, "parquet")
        with pytest.raises(DataError, match=r"column 'x' holds List.*cannot be told apart"):
            tables.split(path, policy(time_column="at"), **parts(tmp_path), cutoff=None)
