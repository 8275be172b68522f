"""What several datasets read of one input are the same rows, and images of one name are told apart."""

from pathlib import Path

import pytest
import torch

from mtl_cli.datasets.reading_base import NewRows, Reading
from mtl_cli.errors import UserError
from mtl_cli.runs.predict import check_stems, taken
from mtl_cli.runs.predictor import TrainedModel


class Named(Reading):
    """Rows of names; a batch ends where `ends` says so too."""

    unit = "image"

    def __init__(self, names, ends=()):
        super().__init__(Path("folder"))
        self.names, self._ends = names, ends

    @property
    def uneven(self):
        return bool(self._ends)

    def batches(self, size):
        waiting = []
        for name in self.names:
            waiting.append(name)
            if len(waiting) == size or name in self._ends:
                yield NewRows(torch.zeros(len(waiting)), waiting)
                waiting = []
        if waiting:
            yield NewRows(torch.zeros(len(waiting)), waiting)


class Listening(TrainedModel):
    """Says which rows it is given together."""

    def predict(self, rows, in_memory=False):
        return [tuple(each.names) for each in rows.values()]


def read(*readings):
    predictor = Listening(None, {}, {}, {}, None)
    return [said for _, said in predictor.run(dict(zip("xyz", readings, strict=False)), 2)]


def test_batches_that_end_elsewhere_are_read_row_by_row():
    names = ["a", "b", "c"]
    assert read(Named(names), Named(names, ends="a")) == [[(name,), (name,)] for name in names]
    assert read(Named(names)) == [[("a", "b")], [("c",)]]


@pytest.mark.parametrize("other", [["a", "c"], ["a"], ["a", "b", "c"]])
def test_different_rows_are_an_error(other):
    with pytest.raises(UserError, match="read different rows of folder"):
        read(Named(["a", "b"]), Named(other))


def test_images_that_differ_in_their_ending_alone_are_refused():
    check_stems(Named(["x/a.jpg", "y/a.png", "x/b.jpg", "x/b.jpg", "c.d"]))
    with pytest.raises(UserError, match=r"x/a.JPG and x/a.png differ in their ending alone"):
        check_stems(Named(["x/a.JPG", "x/a.png"]))


def test_rows_of_other_inputs_are_not_left_out():
    with pytest.raises(UserError, match="skip_bad=true leaves out images"):
        Named([]).leave_out_bad()
    overrides = {"skip_bad": True, "quiet": True}
    assert taken(overrides) == (4096, None, True)
    assert overrides == {"quiet": True}
    with pytest.raises(UserError, match="Use skip_bad=true"):
        taken({"skip_bad": "yes"})
