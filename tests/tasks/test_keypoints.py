import math

import pytest
import torch

from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make

NAN = math.nan
TARGET = torch.tensor([
    [[6.0, 10.0, 1.0], [18.0, 2.0, 1.0], [NAN, NAN, 0.0]],
    [[2.0, 6.0, 1.0], [NAN, NAN, NAN], [22.0, 14.0, 1.0]],
    [[NAN, NAN, NAN]] * 3,
])  # fmt: skip


def outputs(rows=3):
    return {"heat": torch.randn(rows, 3, 4, 6), "visible": torch.randn(rows, 3), "stride": torch.full((rows,), 4.0)}


def perfect():
    """Return outputs that say exactly the points of `TARGET`, all of which lie in the middle of a position."""
    out = {**outputs(), "heat": torch.full((3, 3, 4, 6), -50.0), "visible": torch.full((3, 3), -20.0)}
    for image in range(3):
        for k, (x, y, visible) in enumerate(TARGET[image].tolist()):
            if visible == 1:
                out["heat"][image, k, int(y / 4), int(x / 4)] = 50.0
                out["visible"][image, k] = 20.0
    return out


def test_the_loss_is_that_of_a_written_out_network():
    out, total, number = outputs(), 0.0, 0
    for image in range(3):
        for k, (x, y, visible) in enumerate(TARGET[image].tolist()):
            if math.isnan(visible):
                continue
            chance = out["heat"][image, k].flatten().softmax(dim=0).reshape(4, 6)
            middle = [(chance[r, c].item(), 4 * c + 2, 4 * r + 2) for r in range(4) for c in range(6)]
            where = [sum(each[0] * each[axis] for each in middle) for axis in (1, 2)]
            seen = out["visible"][image, k].sigmoid().item()
            total -= math.log(seen if visible else 1 - seen)
            total += (abs(where[0] - x) + abs(where[1] - y)) / 24 if visible else 0.0
            number += 1
    assert number == 5
    assert make("keypoints").labelled_entries(TARGET) == 5
    assert make("keypoints").loss(out, TARGET).item() == pytest.approx(total / number, rel=1e-4)


def test_parts_of_a_batch_add_up_and_no_label_has_no_gradient():
    task, out = make("keypoints"), outputs()
    parts = [task.loss({k: v[a : a + 1] for k, v in out.items()}, TARGET[a : a + 1]) * n for a, n in ((0, 3), (1, 2))]
    torch.testing.assert_close(sum(parts) / 5, task.loss(out, TARGET))
    nothing = {k: v[2:].clone().requires_grad_(k != "stride") for k, v in out.items()}
    task.loss(nothing, TARGET[2:]).backward()
    assert not nothing["heat"].grad.any()
    assert not nothing["visible"].grad.any()


def metrics(out):
    meter = Meter(make("keypoints"), torch.device("cpu"))
    meter.update(out, TARGET, 5)
    return meter.result().metrics


def test_perfect_and_trivial_outputs():
    assert metrics(perfect()) == {"error": pytest.approx(0.0, abs=1e-6), "pck": 1.0, "visibility": 1.0}
    task = make("keypoints")
    trivial = task.trivial_outputs(task.summarise(TARGET))
    torch.testing.assert_close(trivial["places"], torch.tensor([[4.0, 8.0], [18.0, 2.0], [22.0, 14.0]]))
    torch.testing.assert_close(trivial["visible"].sigmoid(), torch.tensor([1.0, 1.0, 0.5]), atol=1e-5, rtol=0)
    constant = task.repeated(trivial, TARGET)
    assert task.loss(constant, TARGET).isfinite()
    assert 0 < metrics(constant)["error"] < 0.2


class Halved:
    """A frame of an image that is half as large as its file."""

    def boxes_back(self, boxes):
        return boxes * 2


def test_places_are_written_in_pixels_of_the_file():
    predictions = Predictions(["a", "b", "c"], frames=[Halved()] * 3)
    make("keypoints").write(perfect(), predictions)
    assert list(predictions.columns) == list(make("keypoints").columns_of_no_rows())
    assert predictions.columns["t_x_nose"][:2] == pytest.approx([12.0, 4.0])
    assert predictions.columns["t_y_ear"][1] == pytest.approx(28.0)
    assert predictions.columns["t_visible_ear"][:2] == pytest.approx([0.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(("row", "message"), [([1.0, 1.0, 2.0], "visibility 2"), ([NAN, 1.0, 1.0], "without a place")])
def test_labels_that_it_cannot_use_are_told(row, message):
    assert make("keypoints").label_problem(TARGET) is None
    assert message in make("keypoints").label_problem(torch.tensor([[row]]))


def test_a_sheet_shows_visible_points_with_their_numbers():
    target = torch.tensor([[[3.0, 4.0, 1.0], [9.0, 9.0, 0.0], [5.0, 6.0, 1.0]]])
    outputs = {
        "heat": torch.zeros(1, 3, 1, 1),
        "visible": torch.tensor([[-3.0, 3.0, -3.0]]),
        "stride": torch.tensor([8.0]),
        "places": torch.tensor([[[1.0, 2.0], [7.0, 8.0], [0.0, 0.0]]]),
    }
    truth, found = make("keypoints").shown(target, outputs)
    assert truth.points.tolist() == [[3, 4, 0], [5, 6, 2]]
    assert found.points.tolist() == [[7, 8, 1]]
    assert make("keypoints").shown(None, outputs)[0] is None
