"""Sentences of labelled words, against what stands in the file."""

import pytest
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.texts.conll import ConllFile, ConllOptions
from tests.tables._files import everything
from tests.texts._files import CONLLU, ENTITIES, conll, write

COLUMNS = ["word", "pos", "chunk", "ner"]


def read(path, **changes):
    options = {"format": "auto", "columns": None, "word": None, "encoding": "utf-8"} | changes
    file = ConllFile(path, ConllOptions(**options))
    return [[cells[file.word] for cells in sentence.cells] for sentence in file.sentences()], file


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_words_of_conllu_without_multi_word_tokens_and_empty_nodes(tmp_path, end):
    words, _ = read(write(tmp_path / "a.conllu", CONLLU, end))
    assert words == [["In", "dem", "Haus"], ["猫", "schläft"], ["Haus"]]


def test_words_of_conll_by_position(tmp_path):
    words, file = read(write(tmp_path / "a.txt", ENTITIES), columns=tuple(COLUMNS))
    assert words == [["EU", "rejects", "#", "Peter", "Blackburn"], ["BRUSSELS", "1996-08-22"]]
    assert [sentence.comments["document"] for sentence in file.sentences()] == ["1", "2"]


def test_columns_named_in_the_file(tmp_path):
    told = "# global.columns = ID FORM TAG\n1\tA\tx\n2\tB\ty\n"
    words, file = read(write(tmp_path / "a.conllup", told))
    assert words == [["A", "B"]]
    assert file.index("tag") == 2


def labels_by_word(source, field):
    """Return word and label of every labelled word in all splits."""
    found = []
    for split in SPLITS:
        rows = everything(source, split)
        names = source.field_specs[field].class_names
        for ids, labels in zip(rows.inputs["ids"], rows.fields[field], strict=True):
            for piece, label in zip(ids.tolist(), labels.tolist(), strict=True):
                if label != -100:
                    found.append((source._tokenizer._tokenizer.id_to_token(piece), names[label]))
    return found


def test_labels_stand_at_the_first_piece_of_their_word(tmp_path):
    path = write(tmp_path / "a.conllu", CONLLU * 6)
    source = conll(path, tokenizer="characters", targets={"pos": {"column": "upos"}, "dep": {"column": "deprel"}})
    assert sorted(labels_by_word(source, "pos")) == sorted(
        6 * [("I", "ADP"), ("d", "DET"), ("H", "NOUN"), ("猫", "NOUN"), ("H", "NOUN")]
    )
    assert len(labels_by_word(source, "dep")) == 36
    for split in SPLITS:
        rows = everything(source, split)
        assert rows.inputs["words"].shape == rows.inputs["ids"].shape == rows.fields["pos"].shape
        assert torch.equal(rows.fields["dep"] != -100, rows.inputs["words"])
        assert torch.equal(source.split(split).labels("pos").long(), rows.fields["pos"])


def test_groups_of_comments_stay_together(tmp_path):
    path = write(tmp_path / "a.txt", "".join(ENTITIES for _ in range(6)))
    source = conll(
        path, columns=COLUMNS, group_column="document", targets={"ner": {"column": "ner"}}, tokenizer="words",
        test_fraction=0.3,
    )  # fmt: skip
    lengths = [len(source.split(split)) for split in SPLITS]
    assert sum(lengths) == 12
    assert min(lengths) >= 1


def test_what_was_fitted_travels_in_the_state(tmp_path):
    source = conll(write(tmp_path / "a.conllu", CONLLU * 6))
    other = conll(write(tmp_path / "b.conllu", CONLLU * 2), opened=False)
    other.load_state_dict(source.state_dict())
    assert torch.equal(other.example().inputs["ids"], source.example().inputs["ids"])
    other.open()
    assert other.input_spec == source.input_spec
    assert other.field_specs == source.field_specs


def test_unseen_labels_count_as_missing_where_asked_for(tmp_path, caplog):
    path = write(tmp_path / "a.conllu", CONLLU * 3)
    other = write(tmp_path / "b.conllu", CONLLU.replace("DET", "NEW"))
    target = {"column": "upos", "unseen": "missing"}
    source = conll(path, test_path=str(other), targets={"pos": target})
    assert "1 words have labels that training never saw (NEW)" in caplog.text
    assert int((source.split("test").labels("pos") != -100).sum()) == 4


def test_words_that_look_like_numbers_of_tokens_stay_where_no_column_numbers_them(tmp_path):
    text = "# global.columns = FORM TAG\n1-2\tA\n3.1\tB\nword\tA\n\n1-2\tB\nword\tA\n"
    source = conll(write(tmp_path / "a.conllup", text), opened=False, targets={"tag": {"column": "tag"}})
    found = source.sentence_reader(tmp_path / "a.conllup").sentences()
    assert [[cells[0] for cells in each.cells] for each in found] == [["1-2", "3.1", "word"], ["1-2", "word"]]
