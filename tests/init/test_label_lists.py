"""Several labels in the cells of a target: what mtl-init takes them for, and that its way out works."""

import random

import numpy as np
import pytest

from mtl_cli.init.guess import guess_target
from mtl_cli.init.label_column import LabelColumn
from mtl_cli.init.label_lists import list_guess
from tests.init._looking import advised, dataset, kind, look, refused, task, train
from tests.init.test_oddities import here, write

__all__ = ["here"]
STREAM = random.Random(3)


def some_of(names, least=0):
    return STREAM.sample(names, STREAM.randint(least, len(names)))


def joined(sign, names, rows=200, least=1):
    return [sign.join(some_of(names, least)) for _ in range(rows)]


TAGS = ["red", "green", "blue"]
LISTS = {
    "semicolons": (joined(";", TAGS), ";"),
    "bars": (joined("|", TAGS), "|"),
    "commas": (joined(", ", TAGS), ","),
    "slashes where each label stands alone too": ([*joined("/", ["white", "black", "asian"]), "asian", "white"], "/"),
    "codes": (joined(";", ["1", "2", "3"]), ";"),
    "always two, in any order": ([";".join(STREAM.sample("abcd", 2)) for _ in range(100)], ";"),
}
SINGLE = {
    "parts of a name": [f"{a}, {b}" for a in ("male", "female", "other") for b in ("old", "young", "middle")] * 9,
    "cities": [f"City{k % 30}, Land{k % 5}" for k in range(90)],
    "dates": [f"{1 + k % 12}/{1 + k % 28}/2020" for k in range(200)],
    "sentences": [f"Word {k}, and so on, {k * k}" for k in range(60)],
    "one stray": [*("yes", "no", "maybe") * 100, "yes, no"],
    "n/a": ["n/a", "yes", "no"] * 20,
}


def guessed(cells, separator="auto"):
    names = list(dict.fromkeys(cells))
    codes = np.array([names.index(cell) for cell in cells])
    return list_guess(guess_target("y", [LabelColumn("y", None, codes, tuple(names), len(names))]), separator)


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_labels_are_found(name):
    cells, sign = LISTS[name]
    found = guessed(cells)
    assert (found.kind, found.separator) == ("multilabel", sign)
    assert guessed(cells, None).kind == "class", "separator=null leaves them"


@pytest.mark.parametrize("name", SINGLE)
def test_names_dates_and_sentences_are_no_lists(name):
    assert guessed(SINGLE[name]).separator == ""


def test_a_sign_that_joins_too_few_labels_is_pointed_out():
    found = guessed(["a;b", "c", "d"] * 20)
    assert found.kind == "class"
    assert "mtl-init … \"separator=';'\"" in found.notes[-1]
    assert guessed(["a;b", "c", "d"] * 20, ";").kind == "multilabel"


def test_labels_joined_by_spaces_are_pointed_out_and_names_of_several_words_are_not():
    assert "separator=' '" in guessed(joined(" ", TAGS)).notes[-1]
    names = ["light blue", "dark blue", "blue", "light red", "dark red", "not good", "very good"]
    assert "separator" not in "".join(guessed(names * 20).notes)


def test_labels_in_one_cell_train_and_their_way_out_works(capsys):
    tags = [*joined(";", TAGS, 190, 0), *["Red;green"] * 10]
    x = [each.count(";") + STREAM.random() / 4 for each in tags]
    write(["x", "tags"], x, tags)
    out = look(capsys, "[tags]")
    assert "empty cells count as missing labels" in out
    assert (kind("tags"), task("tags")["separator"]) == ("Multilabel", ";")
    assert task("tags")["classes"] == ["Red", "blue", "green", "red"]
    assert {"tags/map", "tags/f1"} <= train(capsys, out).keys()
    options = advised(out)
    assert options == [["separator=null"], ["ignore_case=true"]]
    look(capsys, "[tags]", *options[1])
    assert task("tags")["classes"] == ["blue", "green", "red"]
    look(capsys, "[tags]", *options[0])
    assert (kind("tags"), dataset()["stratify"]) == ("Classification", "tags")


def test_a_separator_that_no_cell_holds_is_refused(capsys):
    write(["x", "y"], list(range(40)), ["a", "b"] * 20)
    assert "which is in no cell" in refused(capsys, "[y]", "separator='|'")
    assert "separator is 3" in refused(capsys, "[y]", "separator=3")
    assert "kind.y does not apply" in refused(capsys, "[y]", "kind.y=detection")


def test_lists_of_numbers_among_numbers_are_labels_and_not_missing(capsys):
    cells = ["1", "2", "3", "1", "2", "3", "1", "2", "1;3", "2;3"] * 20
    write(["x", "y"], list(range(200)), cells)
    look(capsys, "[y]")
    assert list(map(str, task("y")["classes"])) == ["1", "2", "3"]
    assert "missing" not in task("y")
