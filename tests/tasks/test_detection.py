import math

import pytest
import torch

from mtl_cli.batch import FieldSpec, pad_sets
from mtl_cli.tasks.detection import BoxTotals
from mtl_cli.tasks.predictions_base import Predictions
from mtl_cli.training.meters import Meter
from tests.tasks._inputs import make

FIRST = torch.tensor([[4.0, 6.0, 20.0, 14.0, 0.0], [30.5, 10.0, 38.5, 31.0, 1.0]])
SECOND = torch.tensor([[8.0, 8.0, 17.0, 17.0, 1.0]])


def target():
    """Return the boxes of four images: two, one, none, and not known."""
    return pad_sets([FIRST, SECOND, torch.zeros(0, 5), None], (5,))


def outputs(rows=4, stride=4.0):
    return {"heat": torch.randn(rows, 2, 8, 10), "size": torch.randn(rows, 2, 8, 10),
            "offset": torch.randn(rows, 2, 8, 10), "stride": torch.full((rows,), stride)}  # fmt: skip


def perfect(stride=4.0):
    """Return outputs that say exactly the boxes of `target`."""
    out = {"heat": torch.full((4, 2, 8, 10), -12.0), "size": torch.zeros(4, 2, 8, 10),
           "offset": torch.zeros(4, 2, 8, 10), "stride": torch.full((4,), stride)}  # fmt: skip
    for image, boxes in enumerate((FIRST, SECOND)):
        for left, top, right, bottom, kind in boxes.tolist():
            x, y = (left + right) / 2 / stride, (top + bottom) / 2 / stride
            out["heat"][image, int(kind), int(y), int(x)] = 12.0
            out["offset"][image, :, int(y), int(x)] = torch.tensor([x - int(x), y - int(y)])
            size = torch.tensor([(right - left) / 8.0, (bottom - top) / 6.0])
            out["size"][image, :, int(y), int(x)] = size.log()
    return out


def written_out_loss(out, stride):
    """Return the loss as the paper's section 3 says it, object by object, of the labelled images."""
    total = 0.0
    for image, boxes in enumerate((FIRST, SECOND, torch.zeros(0, 5))):
        heat = torch.zeros(2, 8, 10)
        for left, top, right, bottom, kind in boxes.tolist():
            w, h = (right - left) / stride, (bottom - top) / stride
            x, y = (left + right) / 2 / stride, (top + bottom) / 2 / stride
            inside = (w + h - math.sqrt((w + h) ** 2 - 4 * w * h * 0.7)) / 4  # the least of the three cases
            sigma = (2 * inside + 1) / 6
            for row in range(8):
                for column in range(10):
                    near = math.exp(-((row - int(y)) ** 2 + (column - int(x)) ** 2) / (2 * sigma**2))
                    heat[int(kind), row, column] = max(heat[int(kind), row, column].item(), near)
            total += abs(out["offset"][image, 0, int(y), int(x)].item() - (x - int(x)))
            total += abs(out["offset"][image, 1, int(y), int(x)].item() - (y - int(y)))
            total += abs(out["size"][image, 0, int(y), int(x)].item() - math.log((right - left) / 8.0))
            total += abs(out["size"][image, 1, int(y), int(x)].item() - math.log((bottom - top) / 6.0))
        chance = out["heat"][image].sigmoid()
        hit = (1 - chance) ** 2 * chance.log()
        other = (1 - heat) ** 4 * chance**2 * (1 - chance).log()
        total -= torch.where(heat == 1, hit, other).sum().item()
    return total / 3 / 2.0


@pytest.mark.parametrize("stride", [4.0, 5.0])
def test_the_loss_is_that_of_a_written_out_network(stride):
    out = outputs(stride=stride)
    assert make("detection").loss(out, target()).item() == pytest.approx(written_out_loss(out, stride), rel=1e-4)


def test_parts_of_a_batch_add_up_by_their_labelled_images():
    task, out, wanted = make("detection"), outputs(), target()
    assert task.labelled_entries(wanted) == 3
    parts = [task.loss({k: v[a:b] for k, v in out.items()}, wanted[a:b]) * n for a, b, n in ((0, 1, 1), (1, 4, 2))]
    torch.testing.assert_close(torch.stack(parts).sum() / 3, task.loss(out, wanted))
    nothing = {k: v[3:].clone().requires_grad_(k == "heat") for k, v in out.items()}
    loss = task.loss(nothing, wanted[3:])
    loss.backward()
    assert loss.item() == 0.0
    assert not nothing["heat"].grad.any()


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_loss_and_gradient_are_finite_for_extreme_outputs(scale):
    out = {k: (v * scale).requires_grad_() if k != "stride" else v for k, v in outputs().items()}
    loss = make("detection").loss(out, target())
    loss.backward()
    assert loss.isfinite()
    assert all(out[k].grad.isfinite().all() for k in ("heat", "size", "offset"))


def metrics(out, wanted, sizes=(4,)):
    meter, start = Meter(make("detection"), torch.device("cpu")), 0
    for size in sizes:
        part = wanted[start : start + size]
        count = int((~part[:, 0, 0].isnan()).sum())
        if count:
            meter.update({k: v[start : start + size] for k, v in out.items()}, part, count)
        start += size
    return meter.result().metrics


def test_perfect_outputs_are_decoded_to_the_boxes_themselves():
    task = make("detection")
    boxes = task.predictions(perfect())
    found = [row[row[:, 4] > 0.5] for row in boxes]
    for row, wanted in zip(found, (FIRST, SECOND), strict=False):
        order = row[:, 5].argsort()
        torch.testing.assert_close(row[order][:, [0, 1, 2, 3, 5]], wanted)
    assert len(found[2]) == 0
    assert metrics(perfect(), target()) == {"map50": 1.0, "map": 1.0, "count_mae": 0.0, "count_rel": 0.0}


def test_wrong_and_empty_outputs():
    elsewhere = {**perfect(), "offset": perfect()["offset"] + 30.0}
    assert metrics(elsewhere, target())["map50"] == 0.0
    nothing = {**elsewhere, "heat": torch.full((4, 2, 8, 10), -12.0)}
    assert metrics(nothing, target()) == {
        "map50": 0.0, "map": 0.0, "count_mae": 1.0, "count_rel": pytest.approx(2 / 3),
    }  # fmt: skip


def test_metrics_do_not_depend_on_the_batches():
    out = {k: (v + 0.3 * torch.randn(v.shape) if k != "stride" else v) for k, v in perfect().items()}
    assert 0 < metrics(out, target())["map"] < 1
    assert metrics(out, target()) == pytest.approx(metrics(out, target(), (1, 1, 2)))


def test_the_trivial_predictor_finds_nothing():
    task, wanted = make("detection"), target()
    out = task.repeated(task.trivial_outputs(task.summarise(wanted)), wanted)
    assert metrics({k: v.clone() for k, v in out.items()}, wanted)["map50"] == 0.0
    assert task.loss(out, wanted).isfinite()


def test_the_field_learns_counts_and_mean_sizes_from_training_boxes():
    bare = FieldSpec("boxes", 2, ("a", "b"), (5,), varying=True)
    summary = BoxTotals(bare)
    for part in (target()[:1], target()[1:]):
        summary.add(part)
    spec = summary.spec()
    assert spec.counts == (1, 2)
    assert spec.mean == pytest.approx(((16 * 8 * 9) ** (1 / 3), (8 * 21 * 9) ** (1 / 3), 3 / 3))
    assert BoxTotals.of(bare, summary.state()).spec() == spec
    assert (summary.num_rows, summary.num_labelled) == (4, 3)


@pytest.mark.parametrize(
    ("box", "message"),
    [([3.0, 3.0, 3.0, 9.0, 0.0], r"the box \[3.0, 3.0, 3.0, 9.0\], which has no area"),
     ([1.0, 1.0, 3.0, 9.0, 2.0], "the class 2, but has 2 classes")],
)  # fmt: skip
def test_labels_that_it_cannot_use_are_told(box, message):
    import re

    assert make("detection").label_problem(target()) is None
    assert re.search(message, make("detection").label_problem(pad_sets([torch.tensor([box])], (5,))))


class Halved:
    """A frame of an image that is half as large as its file."""

    def boxes_back(self, boxes):
        return boxes * 2


def test_boxes_and_their_number_are_written_in_pixels_of_the_file():
    predictions = Predictions(["a", "b", "c", "d"], frames=[Halved()] * 4)
    make("detection").write(perfect(), predictions)
    assert predictions.columns["t_count"].tolist() == [2, 1, 0, 0]
    assert predictions.boxes["t"].class_names == ("a", "b")
    [second] = predictions.boxes["t"].rows[1].tolist()
    assert second == pytest.approx([16.0, 16.0, 34.0, 34.0, 1.0, 1.0], abs=1e-4)
    assert list(make("detection").columns_of_no_rows()) == ["t_count"]


def test_of_boxes_that_overlap_the_best_is_kept():
    twice = perfect()
    left, top, right, bottom, _ = FIRST[0].tolist()
    x, y = int((left + right) / 8), int((top + bottom) / 8) + 2  # a second peak, two positions below the true one
    twice["heat"][0, 0, y, x] = 3.0
    twice["offset"][0, :, y, x] = torch.tensor([0.0, -1.0])
    twice["size"][0, :, y, x] = torch.tensor([16 / 8.0, 8 / 6.0]).log()
    counts = [make("detection", **more).decode(twice)["t_count"].tolist() for more in ({}, {"max_overlap": 0.2})]
    assert counts == [[3, 1, 0, 0], [2, 1, 0, 0]]
    with pytest.raises(ValueError, match=r"max_overlap is 0.0; .*Use tasks.t.max_overlap=0.4"):
        make("detection", max_overlap=0.0)


@pytest.mark.parametrize(
    ("images", "overlap", "most"),
    [
        ([[(0, 0, 10, 10, 0), (20, 0, 30, 10, 0)], []], 0.0, 0.4),
        ([[(0, 0, 10, 10, 0), (0, 2, 10, 12, 0)]], 0.67, 0.77),  # 80 pixels of 120 are shared
        ([[(0, 0, 10, 10, 0), (0, 2, 10, 12, 1)]], 0.0, 0.4),  # of another class
        ([[(0, 0, 10, 10, 0)] * 2], 1.0, 1.0),
        ([[(0, 0, 10, 10, 0)] * 2, *[[(0, 0, 9, 9, 0)]] * 200], 0.0, 0.4),  # one in 202
    ],
)
def test_boxes_may_overlap_as_much_as_training_boxes_do(images, overlap, most):
    summary = BoxTotals(FieldSpec("boxes", 2, ("a", "b"), (5,), varying=True))
    for boxes in images:
        summary.add(pad_sets([torch.tensor(boxes, dtype=torch.float32).reshape(-1, 5)], (5,)))
    spec = summary.spec()
    assert spec.overlap == pytest.approx(overlap)
    assert make("detection", max_overlap=None, field=spec).max_overlap == pytest.approx(most)


def test_checkpoints_from_before_overlaps_were_counted_are_read():
    summary = make("detection").summarise(target())
    state = {name: value for name, value in summary.state().items() if name != "overlaps"}
    assert BoxTotals.of(summary.field, state).spec() == summary.spec()


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"score_threshold is 1.0.* Use tasks.t.score_threshold=0.35"):
        make("detection", score_threshold=1.0)
