import datetime

import pytest

from mtl_cli.tables.dates import day_number, needs_order, possible_orders

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def days(*parts, zone=UTC):
    return (datetime.datetime(*parts, tzinfo=zone) - EPOCH) / datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2024-01-31", (2024, 1, 31)),
        ("2024/1/31", (2024, 1, 31)),
        ("2024.01.31 7:05", (2024, 1, 31, 7, 5)),
        ("31 Jan 2024", (2024, 1, 31)),
        ("31-jan-2024 23:59:59", (2024, 1, 31, 23, 59, 59)),
        ("January 31, 2024", (2024, 1, 31)),
        ("Sept. 1st, 2024", (2024, 9, 1)),
        ("May 3 2024, 12:30 am", (2024, 5, 3, 0, 30)),
        ("2024-01-31T13:00:00Z", (2024, 1, 31, 13)),
        ("2024-01-31 13:00:00.250 UTC", (2024, 1, 31, 13, 0, 0, 250_000)),
        ("2024-01-31T13:00:00+02:00", (2024, 1, 31, 11)),
        ("2024-01-31T13:00-0530", (2024, 1, 31, 18, 30)),
    ],
)
def test_dates_with_one_meaning_need_no_order(text, parts):
    assert day_number(text, None) == pytest.approx(days(*parts), abs=1e-9)


def test_day_and_month_before_the_year_are_read_as_told():
    assert day_number("03/04/2012", None) is None
    assert needs_order("03/04/2012")
    assert day_number("03/04/2012", "dmy") == days(2012, 4, 3)
    assert day_number("03/04/2012 1:30 PM", "mdy") == pytest.approx(days(2012, 3, 4, 13, 30))
    assert day_number("3.4.2012", "dmy") == days(2012, 4, 3)
    assert day_number("13/04/2012", "mdy") is None


@pytest.mark.parametrize(
    "text", ["2024-02-30", "31/31/2024", "1/2/24", "20240131", "12 monkeys 2024", "1.5", "Jan 31, 2024 13:00 pm"]
)
def test_other_texts_are_no_dates(text):
    assert all(day_number(text, order) is None for order in (None, "dmy", "mdy"))
    assert not needs_order(text)


def test_a_number_over_12_tells_the_order():
    assert possible_orders(["01/02/2010", "13/02/2010"]) == ("dmy",)
    assert possible_orders(["01/02/2010", "02/13/2010"]) == ("mdy",)
    assert possible_orders(["01/02/2010", "03/03/2010"]) == ("dmy", "mdy")
    assert possible_orders(["13/02/2010", "02/13/2010"]) == ()
