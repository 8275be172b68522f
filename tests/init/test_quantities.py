"""Numbers in a form that is not read: told as inputs, refused as labels, and names that look alike pass."""

import random

import pytest

from mtl_cli.init.quantities import in_place_of
from tests.init._looking import look, refused
from tests.init.test_oddities import X, Y, write

SECONDS = [int(abs(x) * 5000) for x in X]
FORMS = {
    "limits": [f"<{abs(x):.2f}" if x < 0 else f"{x:.2f}" for x in X],
    "about": [f"~{abs(x):.2f}" for x in X],
    "footnotes": [f"{x:.2f}*" if x < 0 else f"{x:.2f}" for x in X],
    "brackets": [f"({-x:,.2f})" if x < 0 else f"{x:,.2f}" for x in X],
    "minus behind": [f"{-x:.2f}-" if x < 0 else f"{x:.2f}" for x in X],
    "credit": [f"{abs(x):.2f} {'DR' if x < 0 else 'CR'}" for x in X],
    "durations": [f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" for s in SECONDS],
    "minutes": [f"{s // 60}m {s % 60}s" for s in SECONDS],
    "ISO durations": [f"PT{s // 60}M{s % 60}S" for s in SECONDS],
    "ranges": [f"{s}-{s + 500}" for s in SECONDS],
    "pairs": [f"{s}/{s // 2}" for s in SECONDS],
    "places": [f"(48.{s}, 11.{s})" for s in SECONDS],
    "errors": [f"{x:.2f} ± 0.1" for x in X],
    "powers": [f"{abs(x):.2f}×10^-{k % 5}" for k, x in enumerate(X)],
    "degrees": [f"{s % 90}°{s % 60}'{s % 59}\"N" for s in SECONDS],
    "feet": [f"{4 + s % 3}'{s % 12}\"" for s in SECONDS],
    "thousands of some": [f"{s / 1000:.1f}K" if s > 1000 else str(s) for s in SECONDS],
    "currencies": [f"{'$€£'[k % 3]}{abs(x):.2f}" for k, x in enumerate(X)],
    "percent of some": [f"{x:.1f}%" if x < 0 else f"{x:.3f}" for x in X],
    "Indian": [f"{1 + s % 9},{s % 100:02},{s % 1000:03}" for s in SECONDS],
    "hexadecimal": [hex(s) for s in SECONDS],
    "Arabic": ["".join(chr(0x660 + int(digit)) for digit in str(s)) for s in SECONDS],
}
NAMES = {
    "customers": [f"CUS{s:05}" for s in SECONDS],
    "seats": [f"{1 + s % 40}{'ABCDEF'[s % 6]}" for s in SECONDS],
    "versions": [f"{s % 9}.{s % 7}.{s % 5}" for s in SECONDS],
    "streets": [f"{s} Main Street" for s in SECONDS],
    "hosts": [f"10.0.{s % 256}.{s % 99}" for s in SECONDS],
    "molecules": [f"C{1 + s % 20}H{s % 40}O{s % 5}" for s in SECONDS],
    "few": [f"{10 * (s % 8)}-{10 * (s % 8) + 10}" for s in SECONDS],
    "codes": [f"{'ABCDEFG'[s % 7]}{s % 99}.{s % 9}" for s in SECONDS],
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def counted(texts):
    return {text: texts.count(text) for text in texts}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_in_a_form_that_is_not_read_are_found(form):
    told, text = in_place_of(counted(FORMS[form]))
    assert told
    assert text in FORMS[form]


@pytest.mark.parametrize("names", NAMES)
def test_names_with_numbers_in_them_are_names(names):
    assert in_place_of(counted(NAMES[names])) == ("", "")


@pytest.mark.parametrize("form", ["durations", pytest.param("Indian", marks=pytest.mark.slow)])
def test_an_input_in_such_a_form_is_told(form, capsys):
    write(["x", "a", "y"], X, FORMS[form], Y)
    assert f"a: texts such as '{FORMS[form][0]}' are not read as numbers" in look(capsys, "[y]")


DAYS = [f"2020-{1 + k % 12:02}-{1 + k % 28:02}" for k in range(240)]


@pytest.mark.parametrize("form", ["limits", pytest.param("days", marks=pytest.mark.slow)])
def test_labels_in_such_a_form_are_refused_and_the_way_out_works(form, capsys):
    labels = {**FORMS, "days": DAYS}[form]
    write(["x", "a"], X, labels)
    assert "are not read as numbers, and would be" in refused(capsys, "[a]")
    write(["x", "a"], X, [f"n{each}" for each in labels])
    assert "a: class" in look(capsys, "[a]")


def test_labels_with_many_rows_each_are_classes(capsys):
    scores = [f"{random.Random(k).randrange(4)}-{random.Random(-k).randrange(4)}" for k in range(240)]
    write(["x", "a"], X, scores)
    assert "a: class" in look(capsys, "[a]")
