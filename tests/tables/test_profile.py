import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_cli.tables.profile import profile
from mtl_cli.tables.reading import ReadOptions, TableFile
from tests.tables._files import write_csv


def kind(tmp_path, values, **options):
    write_csv(tmp_path / "a.csv", ["x", "pad"], [[value, 1] for value in values])
    return profile(TableFile(tmp_path / "a.csv", ReadOptions(**options)), ["x"]).columns["x"].kind


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.5", "-3"], "number"),
        (["0", "0.5", "00.5"], "number"),
        (["02134", "2134", "10001"], "text"),
        (["007", "?", "12", "13"], "text"),
        (["9007199254740991", "5"], "number"),
        (["9007199254740993", "5"], "text"),
        (["12345678901234567000", "12345678901234567001"], "text"),
        (["12345678901234567000", "0.5"], "number"),
        (["1e20", "3"], "number"),
        (["1", "2", "?"], "mixed"),
        (["2024-01-01", "2024-01-02T10:00:00Z", "3 May 2024"], "date"),
        (["03/04/2012", "04/05/2012"], "text"),
        (["1,5", "2,5"], "text"),
    ],
)
def test_cells_show_what_a_column_holds(tmp_path, values, expected):
    assert kind(tmp_path, values) == expected


def test_the_notation_decides_what_a_number_and_a_date_is(tmp_path):
    assert kind(tmp_path, ["1,5", "2,5"], decimal=",") == "number"
    assert kind(tmp_path, ["1,500", "2,500,000", "?"], thousands=",") == "mixed"
    assert kind(tmp_path, ["5 %", "7%"], number_signs=["%"]) == "number"
    assert kind(tmp_path, ["03/04/2012", "24/05/2012"], date_order="dmy") == "date"
    assert kind(tmp_path, ["03/04/2012", "24/05/2012"], date_order="mdy") == "text"


@pytest.mark.parametrize(
    ("value", "expected"), [(2**53 - 1, "number"), (2**53, "text"), (2**53 + 1, "text"), (-(2**60), "text")]
)
def test_whole_numbers_of_parquet_beyond_float64_are_names(tmp_path, value, expected):
    pq.write_table(pa.table({"x": pa.array([1, None, value], pa.int64())}), tmp_path / "a.parquet")
    found = profile(TableFile(tmp_path / "a.parquet", ReadOptions()), ["x"])
    assert found.columns["x"].kind == expected
    assert found.rows == 3
