"""Texts as pieces and labels, against the file."""

import csv
import json
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mtl_cli.datasets.base import SPLITS
from mtl_cli.texts import columns, training
from tests.tables._files import everything, write_csv
from tests.texts._files import text

WORDS = ["good", "bad", "film", "它很好", "Straße", "null", "хорошо"]


def rows(count=60):
    stream = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 9, (count,), generator=stream).tolist()
    picks = torch.randint(len(WORDS), (count, 9), generator=stream).tolist()
    texts = [" ".join(WORDS[k] for k in pick[:length]) for pick, length in zip(picks, lengths, strict=True)]
    return [
        [each, f"title {index % 3}", "pn"[index % 2], index / 7, f"g{index // 4}"] for index, each in enumerate(texts)
    ]


HEADER = ["text", "title", "y", "score", "group"]
TARGETS = {"y": {"kind": "class", "column": "y"}, "score": {"kind": "real", "column": "score"}}


@pytest.fixture
def file(tmp_path):
    return write_csv(tmp_path / "data.csv", HEADER, rows())


def decoded(source, split):
    tokenizer = source._tokenizer._tokenizer
    found = everything(source, split)
    return [
        "".join(tokenizer.id_to_token(int(k)) for k in ids[mask])
        for ids, mask in zip(found.inputs["ids"], found.inputs["mask"], strict=True)
    ]


def test_rows_and_labels_are_those_of_the_file(file):
    source = text(file, targets=TARGETS, lowercase=False, tokenizer="words", stratify=None)
    with file.open(newline="") as lines:
        known = {row["score"][:6]: row for row in csv.DictReader(lines)}
    seen = 0
    for split in SPLITS:
        fields = everything(source, split).fields
        for written, label, score in zip(decoded(source, split), fields["y"], fields["score"], strict=True):
            row = known[str(score.item())[:6]] if score else rows()[0] and known["0.0"]
            assert written in (row["text"].replace(" ", ""), "[UNK]" if not row["text"] else None)
            assert "np"[label] == row["y"]
            seen += 1
    assert seen == 60


@pytest.mark.parametrize("name", ["data.tsv", "data.jsonl", "data.parquet", "data.csv.gz"])
def test_every_format_gives_the_same_rows(file, tmp_path, name):
    path = tmp_path / name
    texts = [[str(cell) for cell in row] for row in rows()]
    if name.endswith("tsv"):
        write_csv(path, HEADER, rows(), delimiter="\t")
    elif name.endswith("jsonl"):
        path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows()))
    elif name.endswith("parquet"):
        arrays = [[row[at] for row in rows()] for at in range(len(HEADER))]
        pq.write_table(pa.table(dict(zip(HEADER, arrays, strict=True))), path)
    else:
        import gzip

        path.write_bytes(gzip.compress(file.read_bytes()))
    assert len(texts) == 60
    first, second = text(file, targets=TARGETS), text(path, targets=TARGETS)
    for split in SPLITS:
        one, other = everything(first, split), everything(second, split)
        assert torch.equal(one.inputs["ids"], other.inputs["ids"])
        assert all(torch.equal(one.fields[name], other.fields[name]) for name in TARGETS)


def test_texts_that_look_like_missing_values_are_texts(file):
    source = text(file, tokenizer="words", targets=TARGETS)
    assert "null" in "".join(decoded(source, "train"))


def test_a_batch_is_as_long_as_its_longest_text(file):
    source = text(file, targets=TARGETS, tokenizer="words")
    train = source.split("train")
    for chosen in (torch.tensor([0, 5, 9]), torch.tensor([3])):
        inputs = train.__getitems__(chosen).inputs
        assert inputs["mask"].sum(dim=1).tolist() == train.lengths[chosen].tolist()
        assert inputs["ids"].shape[1] == int(train.lengths[chosen].max())
        assert (inputs["ids"][~inputs["mask"]] == 0).all()
        assert (inputs["mask"].int().diff(dim=1) <= 0).all()


def test_the_tokenizer_knows_training_texts_only(tmp_path):
    path = write_csv(tmp_path / "a.csv", ["text", "y"], [["seen words", "pn"[k % 2]] for k in range(10)])
    other = write_csv(tmp_path / "b.csv", ["text", "y"], [["hidden seen", "p"]])
    source = text(path, test_path=str(other), tokenizer="words")
    assert everything(source, "test").inputs["ids"].tolist() == [[1, source._tokenizer.texts(["seen"])[0][0]]]


def test_columns_of_text_stand_side_by_side(file):
    source = text(file, text=["title", "text"], targets=TARGETS, tokenizer="words")
    inputs = everything(source, "train").inputs
    assert ((inputs["ids"] == 2).sum(dim=1) == 1).all()
    assert (inputs["ids"][:, 2] == 2).all()  # title, number, separator


def test_groups_stay_together_and_folds_cover_all(file):
    tests = []
    for fold in range(3):
        source = text(file, targets=TARGETS, group_column="group", folds=3, fold=fold, tokenizer="words")
        tests.append(set(everything(source, "test").fields["score"].tolist()))
    assert len(set.union(*tests)) == sum(map(len, tests)) == 60


def test_what_was_fitted_travels_in_the_state(file, tmp_path):
    source = text(file, targets=TARGETS)
    state = source.state_dict()
    assert torch.equal(source.example().inputs["ids"], source.example().inputs["ids"])
    other = write_csv(
        tmp_path / "other.csv", HEADER, [["good хорошо new", "t", "n", 3, "g"], ["bad", "t", "p", 4, "g"]]
    )
    again = text(other, opened=False, targets=TARGETS, test_path=str(other), val_path=str(other))
    again.load_state_dict(state)
    assert again.example().inputs["ids"].shape == source.example().inputs["ids"].shape
    again.open()
    assert again.input_spec == source.input_spec
    assert again.field_specs == source.field_specs
    told = source.encode_rows(next(source.reader(other).batches())[1], other)
    assert torch.equal(everything(again, "test").inputs["ids"], told["ids"])
    assert torch.equal(everything(again, "test").inputs["mask"], told["mask"])


def test_a_large_file_is_tokenised_once(file, tmp_path, monkeypatch):
    plain = text(file, targets=TARGETS)
    monkeypatch.setattr(columns, "CACHED_BYTES", 0)
    monkeypatch.setattr(training, "CACHED_BYTES", 0)
    folder = tmp_path / "cache"
    first = text(file, targets=TARGETS, cache_dir=str(folder))
    kept = sorted(path.name for path in folder.iterdir())
    assert len(kept) == 2
    monkeypatch.setattr(columns, "text_rows", None)
    monkeypatch.setattr(training, "train_tokenizer", None)
    second = text(file, targets=TARGETS, cache_dir=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == kept
    for split in SPLITS:
        found = [everything(source, split).inputs["ids"] for source in (plain, first, second)]
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])
    with pytest.raises(TypeError):  # another length is another entry
        text(file, targets=TARGETS, cache_dir=str(folder), max_length=8)


def test_rows_can_be_sent_to_another_process(file):
    rows = text(file, targets=TARGETS).split("train")
    copy = pickle.loads(pickle.dumps(rows))
    every = torch.arange(len(rows))
    assert torch.equal(copy.__getitems__(every).inputs["ids"], rows.__getitems__(every).inputs["ids"])


@pytest.mark.parametrize("part", ["values.npy", "offsets.npy", "complete"])
def test_a_damaged_cache_of_texts_is_made_again(file, tmp_path, monkeypatch, part):
    monkeypatch.setattr(columns, "CACHED_BYTES", 0)
    monkeypatch.setattr(training, "CACHED_BYTES", 0)
    before = everything(text(file, cache_dir=str(tmp_path / "cache")), "train").inputs["ids"]
    (rows,) = (tmp_path / "cache").glob("rows-*")
    for path in (rows / part, *(tmp_path / "cache").glob("tokenizer-*")):
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
    after = everything(text(file, cache_dir=str(tmp_path / "cache")), "train").inputs["ids"]
    assert after.tolist() == before.tolist()
