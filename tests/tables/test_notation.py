from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mtl_cli.errors import UserError
from mtl_cli.tables.cells import date_cells, number_cells
from mtl_cli.tables.notation import Notation
from mtl_cli.tables.place import Place
from mtl_cli.tables.reading import ReadOptions
from tests.tables._files import everything, tabular, write_csv

PLACE = Place(Path("data.csv"), "x")


def numbers(texts, **how):
    return number_cells(pa.array(texts), Notation(missing=("", "?"), **how), PLACE).tolist()


def test_a_decimal_comma_and_signs_between_thousands():
    assert numbers(["3,5", "-,5", "7", "1,5e3", "1.5"], decimal=",") == [3.5, -0.5, 7.0, 1500.0, 1.5]
    assert numbers(["1,234,567.5", "-12", "+1,000"], thousands=",") == [1234567.5, -12.0, 1000.0]
    assert numbers(["1.234,5", "12.345.678"], decimal=",", thousands=".") == [1234.5, 12345678.0]
    assert numbers(["1\u202f234,5", "1\u00a0000", "10 000"], decimal=",", thousands=" ") == [1234.5, 1000.0, 10000.0]
    assert numbers(["1'234.5", "1\u2019000"], thousands="'") == [1234.5, 1000.0]


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("1,5", {}),
        ("12,34", {"thousands": ","}),
        ("1,2345", {"thousands": ","}),
        ("1.7641", {"decimal": ",", "thousands": "."}),
        ("1.234,5", {"decimal": ","}),
        ("$5", {"number_signs": ("%",)}),
    ],
)
def test_numbers_in_another_notation_are_refused_by_row(text, how):
    with pytest.raises(UserError, match=r"row 2, column 'x': '.*' is not a number"):
        numbers(["1", text], **how)


def test_signs_of_units_are_left_out_and_may_not_differ_within_a_column():
    assert numbers(["$1,200", "-$5", "$-7.5", None, "?"], thousands=",", number_signs=("$",))[:3] == [1200, -5, -7.5]
    assert numbers(["7.5 %", "\u22123%"], number_signs=("%",)) == [7.5, -3.0]
    assert numbers(["7.5", "3"], number_signs=("%",)) == [7.5, 3.0]
    with pytest.raises(UserError, match="row 3, column 'x': '3' has another unit"):
        numbers(["7%", "8%", "3"], number_signs=("%",))
    with pytest.raises(UserError, match="row 2, column 'x': '€3' has another unit"):
        numbers(["$7", "€3"], number_signs=("$", "€"))


def test_dates_of_several_kinds_stand_beside_each_other_and_a_missing_order_is_asked_for():
    how = Notation(missing=("?",))
    days = date_cells(pa.array(["1970-01-02", "?", "1970-01-02T12:00:00+12:00", "3 Jan 1970"]), how, PLACE)
    np.testing.assert_array_equal(days, [1.0, np.nan, 1.0, 2.0])
    with pytest.raises(UserError, match=r"row 2, column 'x': '03/01/1970' is not a date\..*date_order=dmy or"):
        date_cells(pa.array(["1970-01-02", "03/01/1970"]), how, PLACE)
    days = date_cells(pa.array(["03/01/1970"]), Notation(date_order="dmy"), PLACE)
    np.testing.assert_array_equal(days, [2.0])


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="decimal and thousands are both ','"):
        ReadOptions(decimal=",", thousands=",")
    with pytest.raises(UserError, match="date_order is 'ymd'; it is one of dmy, mdy or null"):
        ReadOptions(date_order="ymd")


def test_a_dataset_reads_the_notation_of_its_file(tmp_path):
    rows = [[f"{k},5", f"${k}.000,00", f"{1 + k % 28:02d}/03/2020", k % 2] for k in range(40)]
    path = write_csv(tmp_path / "a.csv", ["x", "price", "when", "y"], rows, delimiter=";")
    how = {"delimiter": ";", "decimal": ",", "thousands": ".", "number_signs": ["$"], "date_order": "dmy"}
    source = tabular(path, **how, scale="none")
    inputs = np.concatenate([everything(source, split).inputs["numeric"].numpy() for split in ("train", "val", "test")])
    assert inputs.shape == (40, 3)
    assert set(inputs[:, 0].tolist()) == {k + 0.5 for k in range(40)}
    np.testing.assert_array_equal(inputs[:, 1], (inputs[:, 0] - 0.5) * 1000)
    assert not source.example().inputs["categorical"].shape[1]
