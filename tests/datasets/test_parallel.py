"""Pairs of texts: one tokenizer, aligned files, hidden pieces, and what is wrong with a file, in words."""

import json

import numpy as np
import pytest
import torch

from mtl_cli.batch import WantedField
from mtl_cli.datasets.parallel import Parallel
from mtl_cli.errors import UserError
from mtl_cli.texts.piece_tokenizer import END, UNKNOWN, text_of
from mtl_cli.training.order import Order
from mtl_cli.training.reading import Reader
from tests.tables._files import defaults, made, write_csv

ROWS = [(f"item {k}", f"Ding {k}" if k % 5 else "", f"chose {k}") for k in range(40)]
HEADER = ["en", "de", "fr"]


def opened(path, state=None, names=("de", "fr"), reading=None, **changes):
    arguments = {**defaults("parallel"), "path": str(path), "source": "en", "batch_size": 8, **changes}
    source = made(Parallel, arguments)
    source.want([WantedField(name, name, "pieces", (reading or {}).get(name, {})) for name in names])
    if state is not None:
        source.load_state_dict(state)
    else:
        source.open()
    return source


def texts_of(source, field, target):
    names = source.field_specs[field].class_names
    return ["" if row[0] < 0 else text_of(names, row) for row in target.tolist()]


@pytest.mark.parametrize("kind", ["bpe", "words", "characters"])
def test_sources_and_targets_are_cut_by_one_tokenizer_and_come_back_whole(tmp_path, kind):
    source = opened(write_csv(tmp_path / "pairs.csv", HEADER, ROWS), tokenizer=kind)
    assert source.field_specs["de"].class_names == source.field_specs["fr"].class_names
    assert source.field_specs["de"].copies
    assert source.input_spec.categories == (source.field_specs["de"].num_classes,)
    seen = []
    for split in ("train", "val", "test"):
        rows = source.full_split(split)
        sample = rows.__getitems__(torch.arange(len(rows)))
        read = [text_of(source.field_specs["de"].class_names, row) for row in sample.inputs["ids"].tolist()]
        seen += zip(read, *(texts_of(source, name, sample.fields[name]) for name in ("de", "fr")), strict=True)
        ends = (sample.inputs["ids"] * sample.inputs["mask"] == END).sum(dim=1)
        assert (ends == 1).all()
    assert kind == "words" or sorted(seen) == sorted(ROWS)


def test_tokenizers_of_their_own_are_not_copied_from(tmp_path):
    path = write_csv(tmp_path / "pairs.csv", HEADER, ROWS)
    source = opened(path, shared=False, reading={"de": {"pieces": {"kind": "characters"}}})
    assert not source.field_specs["de"].copies
    assert all(len(piece) == 1 for piece in source.field_specs["de"].class_names[3:])
    assert source.field_specs["de"].class_names != source.field_specs["fr"].class_names


def test_a_state_reads_new_texts_and_labelled_rows_without_the_files_of_training(tmp_path):
    path = write_csv(tmp_path / "pairs.csv", HEADER, ROWS)
    source = opened(path)
    state = json.loads(json.dumps(source.state_dict()))
    path.unlink()
    again = opened(path, state=state)
    assert again.field_specs == source.field_specs
    assert again.input_spec == source.input_spec
    new = write_csv(tmp_path / "new.csv", ["en"], [("item ø",), ("",)])
    [rows] = again.reading(new).batches(10)
    assert UNKNOWN in rows.inputs["ids"][0]
    assert rows.inputs["ids"][1, 0] == UNKNOWN
    labelled = again.labelled_rows(write_csv(tmp_path / "more.csv", ["en", "fr"], [("item 7", "chose 7")]))
    sample = labelled.__getitems__(torch.tensor([0]))
    assert texts_of(again, "fr", sample.fields["fr"]) == ["chose 7"]
    assert (sample.fields["de"] == -100).all()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_files_aligned_by_lines_are_the_same_as_a_table(tmp_path, ending):
    for column, name in enumerate(HEADER):
        lines = "".join(f"{row[column]}{ending}" for row in ROWS)
        (tmp_path / f"train.{name}").write_bytes(lines.encode())
    lines, table = opened(tmp_path / "train.en"), opened(write_csv(tmp_path / "pairs.csv", HEADER, ROWS))
    assert lines.state_dict() == table.state_dict()
    for split in ("train", "val", "test"):
        one, other = (each.full_split(split).__getitems__(torch.arange(4)) for each in (lines, table))
        assert torch.equal(one.inputs["ids"], other.inputs["ids"])
        assert torch.equal(one.fields["de"], other.fields["de"])
    assert [path.name for path in lines.files()["path"]] == ["train.en", "train.de", "train.fr"]
    new = tmp_path / "new.txt"
    new.write_text("item 1\nitem 2\n")
    [rows] = lines.reading(new).batches(10)
    assert len(rows.names) == 2


def test_a_batch_holds_texts_of_like_lengths_and_hidden_pieces_are_drawn_anew_in_training_alone(tmp_path):
    path = write_csv(tmp_path / "pairs.csv", HEADER, ROWS)
    source = opened(path, hidden=0.5, reading={"en": {}}, names=("de", "en"))
    rows = source.full_split("train")
    order = Order(len(rows), 8, "de", 0, None, rows.lengths)
    reader = Reader(rows, "de", 0, {"de": "de"}, {}, source.augmentation, source.all_fields, {})
    chosen = order.rows(0)
    plain = reader.as_they_are(chosen)
    one, same, other = reader.draw(0, chosen), reader.draw(0, chosen), reader.draw(1, chosen)
    assert torch.equal(one.inputs["ids"], same.inputs["ids"])
    assert not torch.equal(one.inputs["ids"], other.inputs["ids"])
    changed = one.inputs["ids"] != plain.inputs["ids"]
    assert (one.inputs["ids"][changed] == UNKNOWN).all()
    assert not (changed & ~plain.inputs["mask"]).any()
    assert 0.3 < float(changed.sum() / plain.inputs["mask"].sum()) < 0.7
    assert torch.equal(one.fields["en"], plain.fields["en"])
    assert (one.fields["de"] == -100).all(dim=1).tolist() == (plain.fields["de"] == -100).all(dim=1).tolist()


def test_some_rows_are_drawn_with_their_source_as_target_and_missing_targets_stay_missing(tmp_path):
    source = opened(write_csv(tmp_path / "pairs.csv", HEADER, ROWS), copied=0.5)
    rows = source.full_split("train")
    reader = Reader(rows, "de", 0, {"de": "de"}, {}, source.augmentation, source.all_fields, {})
    everything = torch.arange(len(rows))
    plain, drawn = reader.as_they_are(everything), reader.draw(0, everything)
    assert torch.equal(drawn.inputs["ids"], plain.inputs["ids"])
    names = source.field_specs["de"].class_names
    read = [text_of(names, row) for row in plain.inputs["ids"].tolist()]
    copies = 0
    told, found = (texts_of(source, "de", each.fields["de"]) for each in (plain, drawn))
    for own, before, after in zip(read, told, found, strict=True):
        assert after in ((own, before) if before else ("",))
        copies += after == own
    assert 0.2 * len(rows) < copies < 0.7 * len(rows)
    assert texts_of(source, "fr", drawn.fields["fr"]) != texts_of(source, "fr", plain.fields["fr"])
    with pytest.raises(UserError, match="copied needs one tokenizer"):
        opened(tmp_path / "pairs.csv", copied=0.5, shared=False)


def table(folder, rows=ROWS):
    return write_csv(folder / "a.csv", HEADER, rows)


def write_lines(folder, **files):
    for name, lines in files.items():
        (folder / f"train.{name}").write_text("".join(f"{line}\n" for line in lines))
    return folder / "train.en"


@pytest.mark.parametrize(
    ("make_path", "changes", "message"),
    [
        (lambda f: write_lines(f, en="abc", de="ab", fr="abc"), {}, r"train\.en has 3 lines, .*train\.de has 2 lines"),
        (lambda f: write_lines(f, en="abc", de="abc"), {}, r"train\.en has no column 'fr'"),
        (lambda f: table(f), {"source": "english"}, "has no column 'english'"),
        (lambda f: table(f), {"source": "de"}, r"tasks\.de writes: .*hidden=0\.2"),
        (lambda f: table(f), {"min_count": 2}, "min_count is 2, which a shared tokenizer does not know"),
        (lambda f: table(f), {"tokenizer": "wordpiece"}, "Use one of bpe, words, characters"),
        (lambda f: table(f, [*ROWS, ("a " * 700, "b", "c")]), {},
         r"1 texts have more than max_length=512 pieces, the first in row 41, the longest \d+\. Set max_length=.*cut="),
        (lambda f: table(f, [(row[0], "", row[2]) for row in ROWS]), {}, "no training row has a text"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path, make_path, changes, message):
    with pytest.raises(UserError, match=message):
        opened(make_path(tmp_path), **changes)


def test_pieces_of_a_shared_tokenizer_are_those_of_the_dataset(tmp_path):
    path = write_csv(tmp_path / "a.csv", HEADER, ROWS)
    with pytest.raises(UserError, match=r"tasks\.de\.pieces\.kind .*~tasks\.de\.pieces\.kind.*dataset\.shared=false"):
        opened(path, reading={"de": {"pieces": {"kind": "bpe"}}})
    assert opened(path, reading={"de": {"pieces": {"longest": 2}}}).field_specs["de"].longest == 3


def test_long_sources_lose_their_ends_where_that_is_asked_and_are_counted(tmp_path, caplog):
    rows = [*ROWS, ("a " * 700, "b", "c")]
    source = opened(write_csv(tmp_path / "a.csv", HEADER, rows), cut=True, max_length=16)
    assert "1 texts are longer than max_length=16 pieces; their ends are cut off" in caplog.text
    lengths = np.concatenate([source.full_split(name).lengths.numpy() for name in ("train", "val", "test")])
    assert lengths.max() == 16
    new = write_csv(tmp_path / "new.csv", ["en"], [("b " * 70,), ("a",)])
    list(source.reading(new).batches(10))
    assert "1 sources are cut after 16 pieces" in caplog.text
    whole = opened(tmp_path / "a.csv", max_length=1500)
    with pytest.raises(UserError, match="more than max_length=1500 pieces, the first in row 1"):
        list(whole.reading(write_csv(tmp_path / "new.csv", ["en"], [("b " * 1501,)])).batches(10))
