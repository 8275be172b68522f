"""What becomes of bad texts and sentences: one test a row of the table in mtl_cli/datasets/README.md."""

import logging

import pytest
import torch

from mtl_cli.errors import UserError
from tests.tables._files import everything, write_csv
from tests.texts._files import CONLLU, conll, text, write

GOOD = [[f"word{k % 5} text", "pn"[k % 2]] for k in range(12)]
TAGGED = "a\tX\nb\tY\n\n" * 6
COLUMNS = {"columns": ["word", "tag"], "targets": {"tag": {"column": "tag"}}}


def refused(message, make):
    with pytest.raises(UserError, match=message) as error:
        make()
    assert len(error.value.problems) == 1
    return str(error.value)


def test_an_empty_text(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    path = write_csv(tmp_path / "a.csv", ["text", "y"], [*GOOD, ["", "p"], ["   ", "n"]])
    source = text(path, tokenizer="words")
    assert "2 texts are empty; each is one unknown piece" in caplog.text
    rows = torch.cat([source.split(split).lengths for split in ("train", "val", "test")])
    assert rows.min() == 1
    assert len(rows) == 14


def test_a_text_of_100000_words(tmp_path, caplog):
    path = write_csv(tmp_path / "a.csv", ["text", "y"], [*GOOD, ["long " * 100_000, "p"]])
    source = text(path, max_length=50)
    assert "1 texts are longer than max_length=50 pieces; their ends are cut off" in caplog.text
    assert max(int(source.split(split).lengths.max()) for split in ("train", "val", "test")) == 50


def test_a_sentence_of_0_and_of_100000_words(tmp_path):
    long = "\n".join(["a\tX"] * 100_000)
    source = conll(write(tmp_path / "a.conll", f"# alone\n\n\n\n{TAGGED}{long}\n"), **COLUMNS, max_length=64)
    labels = [everything(source, split).fields["tag"] for split in ("train", "val", "test")]
    assert sum(int((each != -100).sum()) for each in labels) == 100_012
    assert max(each.shape[1] for each in labels) <= 64


def test_labels_of_another_number_than_words(tmp_path):
    path = write(tmp_path / "a.conll", TAGGED + "c\td\te\n")
    told = refused(
        r"a\.conll, line 19: .* has 3 cells, not 2\. Each word needs 2 cells", lambda: conll(path, **COLUMNS)
    )
    assert "(word, tag), separated by tabs" in told


def test_an_unfinished_file(tmp_path):
    whole = conll(write(tmp_path / "a.conll", TAGGED.rstrip("\n")), **COLUMNS)  # no blank line at the end
    assert sum(len(whole.split(split)) for split in ("train", "val", "test")) == 6
    cut = write(tmp_path / "b.conllu", CONLLU[: CONLLU.rindex("\t_\t_")])
    refused(r"b\.conllu, line 17: .* has 8 cells, not 10", lambda: conll(cut))
    lines = write(tmp_path / "c.jsonl", '{"text": "a", "y": 1}\n{"text": "b", "y')
    refused(r"c\.jsonl, line 2: not JSON", lambda: text(lines))


def test_mixed_line_ends(tmp_path):
    mixed = TAGGED.replace("\n\n", "\r\n\r\n", 2).replace("X\n", "X\r", 1)
    first, second = (conll(write(tmp_path / f"{k}.conll", each), **COLUMNS) for k, each in enumerate((mixed, TAGGED)))
    for split in ("train", "val", "test"):
        assert torch.equal(everything(first, split).inputs["ids"], everything(second, split).inputs["ids"])


def test_bytes_that_are_no_text(tmp_path):
    path = write(tmp_path / "a.conll", TAGGED + "é\tX\n", encoding="latin-1")
    refused(r"a\.conll, after line \d+: bytes that are not utf-8 .*encoding=latin-1", lambda: conll(path, **COLUMNS))
    assert conll(path, **COLUMNS, encoding="latin-1").field_specs["tag"].class_names == ("X", "Y")
    table = tmp_path / "a.csv"
    table.write_bytes(b"text,y\n" + b"caf\xe9,p\ncaf\xe9,n\n" * 6)
    refused(r"a\.csv, row 1 \(line 2\), column 'text': .* holds bytes that are not utf-8", lambda: text(table))
    lines = tmp_path / "a.jsonl"
    lines.write_bytes(b'{"text": "caf\xe9", "y": 1}\n')
    refused(r"a\.jsonl, after line 0: bytes that are not utf-8", lambda: text(lines))


def test_control_characters(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["text", "y"], [*GOOD, ["wo\x07rd1 \x1b text", "p"], ["\x07", "n"]])
    source = text(path, tokenizer="words", lowercase=False)
    known = source._tokenizer.texts(["word1 text"])[0].tolist()
    assert source._tokenizer.texts(["wo\x07rd1 text"])[0].tolist() == known
    assert source._tokenizer.texts(["\x07"])[0].tolist() == [1]


def test_a_label_that_training_never_saw(tmp_path):
    path = write(tmp_path / "a.conll", TAGGED)
    other = write(tmp_path / "b.conll", "a\tX\nc\tZ\n")
    told = refused(
        r"b\.conll, line 2, column 'tag': the label 'Z' is not one",
        lambda: conll(path, **COLUMNS, test_path=str(other)),
    )
    assert "targets.tag.unseen=missing" in told
    table = write_csv(tmp_path / "a.csv", ["text", "y"], GOOD)
    late = write_csv(tmp_path / "b.csv", ["text", "y"], [["word1", "z"]])
    refused("the label 'z' is not one of the classes of the training rows", lambda: text(table, test_path=str(late)))


def test_a_text_of_unknown_words_only(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["text", "y"], GOOD)
    other = write_csv(tmp_path / "b.csv", ["text", "y"], [["quite new 新", "p"]])
    source = text(path, test_path=str(other), tokenizer="words")
    assert everything(source, "test").inputs["ids"].tolist() == [[1, 1, 1]]


def test_columns_that_are_not_told_or_not_there(tmp_path):
    path = write(tmp_path / "a.conll", TAGGED)
    refused(r"whose columns have no names; its first line has 2: .* Name them in order: columns=", lambda: conll(path))
    refused("has no column 'ner'", lambda: conll(path, columns=["word", "tag"], targets={"ner": {"column": "ner"}}))
    refused("has no column 'form' of words", lambda: conll(path, **COLUMNS, word="form"))
    refused("kind: tokens, column: pos", lambda: conll(path, columns=["word", "tag"], targets={"pos": "tag"}))
    table = write_csv(tmp_path / "a.csv", ["Text", "y"], GOOD)
    refused(r"has no column 'text'\. Did you mean 'Text'", lambda: text(table))
    refused("the answer would leak into the question", lambda: text(table, text="y"))


def test_texts_without_anything_to_learn(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["text", "y"], [["", "pn"[k % 2]] for k in range(12)])
    refused("the tokenizer found nothing to learn in the training rows", lambda: text(path))
    blank = write(tmp_path / "a.conll", "\n\n# only this\n\n")
    refused("has no word: every line is blank or a comment", lambda: conll(blank, **COLUMNS))
    same = write(tmp_path / "b.conll", "a\tX\n\n" * 8)
    refused("every label of training words is 'X'", lambda: conll(same, **COLUMNS))


def test_a_cell_of_json_that_is_no_text(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": ["a", "b"], "y": 1}\n{"text": "c", "y": 2}\n' * 6)
    refused(r"a\.jsonl, line 1, column 'text': a list is not a cell", lambda: text(path))
    refused(r"b\.jsonl, line 1: a list; each line is a JSON object", lambda: text(write(tmp_path / "b.jsonl", "[1]\n")))
