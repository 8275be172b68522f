import itertools

import pytest
import torch

from mtl_cli.batch import FieldSpec, LabelledSplit, Sample, Split
from mtl_cli.datasets.division_base import Division, joined
from mtl_cli.errors import UserError
from mtl_cli.runs import run
from tests._toy import Toy, config


class Numbers(LabelledSplit):
    """Rows that know their number, as an input [B, 1] and as the field `number`."""

    def __init__(self, first, rows):
        self.values = torch.arange(first, first + rows)

    def __len__(self):
        return len(self.values)

    def __getitems__(self, indices):
        return Sample(self.values[indices].float()[:, None], {"number": self.values[indices]})

    def labels(self, field):
        return self.values


class Boxes(Split):
    """Rows with a set of boxes each; all rows of a split have as many."""

    def __init__(self, rows, boxes):
        self.rows, self.boxes = rows, boxes

    def __len__(self):
        return self.rows

    def __getitems__(self, indices):
        return Sample(
            torch.zeros(len(indices), 1), {"boxes": torch.full((len(indices), self.boxes, 1), float(self.boxes))}
        )


SPLITS = {"train": Numbers(0, 20), "val": Numbers(20, 7), "test": Numbers(100, 5)}


def numbers(division, name):
    return division.part(name, SPLITS.__getitem__, {}).labels("number").tolist()


def test_each_row_validates_in_one_fold_and_the_test_rows_are_in_none():
    folds = [Division(4, fold) for fold in range(4)]
    held = [numbers(each, "val") for each in folds]
    assert sorted(itertools.chain(*held)) == list(range(27))
    assert sorted(map(len, held)) == [6, 7, 7, 7]
    for each, rows in zip(folds, held, strict=True):
        assert sorted(numbers(each, "train") + rows) == list(range(27))
        assert numbers(each, "test") == list(range(100, 105))


def test_training_on_both_leaves_the_validation_rows_as_they_are():
    both = Division(together=True)
    assert numbers(both, "train") == list(range(27))
    assert numbers(both, "val") == list(range(20, 27))
    assert numbers(Division(), "train") == list(range(20))


def test_joined_rows_come_in_the_order_that_is_asked_for():
    split = Division(4, 1).part("train", SPLITS.__getitem__, {})
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
    wanted = split.labels("number")[rows]
    assert split.__getitems__(rows).fields["number"].equal(wanted)
    assert split.__getitems__(rows).inputs[:, 0].equal(wanted.float())
    assert split.fields_of(rows, ["number"])["number"].equal(wanted)
    assert split.classes("number").equal(split.labels("number"))
    assert [int(row.fields["number"]) for row in split.apart(rows, {})] == wanted.tolist()


def test_sets_of_other_sizes_are_filled_up():
    specs = {"boxes": FieldSpec("boxes", 1, (), (1,), varying=True)}
    found = joined([Boxes(2, 1), Boxes(2, 3)], torch.arange(4), specs).__getitems__(torch.tensor([3, 0]))
    assert found.fields["boxes"].shape == (2, 3, 1)
    assert found.fields["boxes"][0].flatten().tolist() == [3.0, 3.0, 3.0]
    assert found.fields["boxes"][1].flatten().tolist()[0] == 1.0


def test_more_folds_than_rows_are_refused():
    with pytest.raises(UserError, match=r"data.inner_folds is 28, and there are 27"):
        numbers(Division(28, 0), "train")


def test_a_run_on_a_fold_trains_on_the_other_rows(tmp_path):
    data = {**config()["data"], "inner_folds": 3, "inner_fold": 2}
    own = Toy(1, 16, 0.0, False, -1, 48)
    own.division = Division(3, 2)
    assert (len(own.full_split("train")), len(own.full_split("val"))) == (48, 24)
    fold = run.train(config(data=data), tmp_path / "fold", [])
    whole = run.train(config(), tmp_path / "whole", [])
    assert fold["best_val"] != whole["best_val"]
    assert fold["steps"] == whole["steps"] == 6


def test_training_on_both_splits_takes_the_last_step_as_the_best(tmp_path):
    data = {**config()["data"], "train_on": "train+val"}
    summary = run.train(config(data=data, selection={"metric": "last"}), tmp_path / "run", [])
    assert summary["steps"] == summary["selection"]["best_step"] == 10  # 72 rows in batches of 16, two epochs
    assert summary["selection"]["metric"] == "last"
    assert summary["test"]


def test_a_metric_that_is_missing_and_folds_beyond_the_rows_are_found_before_a_run(tmp_path):
    with pytest.raises(UserError, match=r"no task reports it. Did you mean 'sign/accuracy'"):
        run.check_with_data(config(selection={"metric": "sign/acuracy"}))
    with pytest.raises(UserError, match=r"data.inner_folds is 90"):
        run.check_with_data(config(data={**config()["data"], "inner_folds": 90}))
