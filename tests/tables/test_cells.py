import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables.cells import category_cells, date_cells, number_cells
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import Place, canonical

PLACE = Place(Path("data.csv"), "age", 10)
HOW = Notation(missing=("", "NA", "-999"))


def read(function, values, kind=None):
    return function(pa.array(values, kind), HOW, PLACE)


def test_text_becomes_numbers_as_python_reads_them():
    texts = ["1", " 2.5", "-3e-2 ", "+4", ".5", "6.", "1E3"]
    assert read(number_cells, texts).tolist() == [float(text) for text in texts]
    assert np.isnan(read(number_cells, ["", "NA", None, " NA", "-999", "-999.0", "nan"])).all()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 2**60], pa.int64(), [1.0, np.nan, 2.0**60]),
        ([0.5, np.nan, -999.0], pa.float32(), [0.5, np.nan, np.nan]),
        ([True, False, None], pa.bool_(), [1.0, 0.0, np.nan]),
        (["3", "4", None], pa.dictionary(pa.int32(), pa.string()), [3.0, 4.0, np.nan]),
        ([None, None], pa.null(), [np.nan, np.nan]),
        ([1, 255], pa.uint8(), [1.0, 255.0]),
    ],
)
def test_every_type_of_number_is_read(values, kind, expected):
    np.testing.assert_array_equal(read(number_cells, values, kind), expected)


def test_what_is_no_number_is_named_by_row_and_column():
    with pytest.raises(UserError, match=r"data\.csv, row 13, column 'age': 'abc' is not a number.*categorical=\[age\]"):
        read(number_cells, ["1", "", "abc", "x"])
    for text in ("1,000", "0x10", "1_000", "12 kg"):
        with pytest.raises(UserError, match="is not a number"):
            read(number_cells, [text])
    for text in ("inf", "-Infinity", "1e39", "1e400"):
        with pytest.raises(UserError, match=r"row 12, column 'age'.*infinite"):
            read(number_cells, ["1", text])
    with pytest.raises(UserError, match="are not numbers"):
        read(number_cells, [[1], [2]])


def test_dates_become_days_since_1970():
    texts = ["1970-01-02", "2024-02-29", "1969-12-31 12:00", "2000-01-01T06:00:00.5", None, "NA"]
    out = read(date_cells, texts)
    epoch = datetime.datetime(1970, 1, 1)
    wanted = [(datetime.datetime.fromisoformat(text) - epoch) / datetime.timedelta(days=1) for text in texts[:4]]
    np.testing.assert_allclose(out[:4], wanted, rtol=1e-12)
    assert np.isnan(out[4:]).all()
    assert read(date_cells, [datetime.date(1970, 1, 11)]).tolist() == [10.0]
    moment = datetime.datetime(1970, 1, 1, 12)
    assert read(number_cells, [moment], pa.timestamp("ns")).tolist() == [0.5]
    assert read(date_cells, [moment.replace(tzinfo=datetime.UTC)], pa.timestamp("us", "UTC")).tolist() == [0.5]
    with pytest.raises(UserError, match="row 12, column 'age': '2023-02-30' is not a date"):
        read(date_cells, ["2024-01-01", "2023-02-30"])


def test_categories_are_the_same_from_text_numbers_and_truth_values():
    for values, kind in (
        (["1", "2.0", " 1 ", "NA", None], None),
        ([1, 2, 1, -999, None], pa.int64()),
        ([1.0, 2.0, 1.0, np.nan, None], pa.float64()),
    ):
        codes, names = read(category_cells, values, kind)
        assert [names[code] if code >= 0 else None for code in codes] == ["1", "2", "1", None, None]
    codes, names = read(category_cells, [True, False, None])
    assert [names[code] if code >= 0 else None for code in codes] == ["true", "false", None]
    assert [canonical(text) for text in ("True", "FALSE", "tRUE", "01", "1.50", "-2.00")] == [
        "true", "false", "tRUE", "01", "1.50", "-2",
    ]  # fmt: skip
    with pytest.raises(UserError, match="are not categories"):
        read(category_cells, [[1], [2]])
