import math

import numpy as np
import pytest
import torch

from mtl_cli.batch import pad_sets
from mtl_cli.metrics.box_precision import BoxPrecision
from mtl_cli.metrics.choices_base import Choices

ALL = tuple(np.linspace(0.5, 0.95, 10))


def drawn(images=12):
    """Return true boxes, some of them found: displaced, doubled or of another class, beside false ones."""
    true, found = [], []
    for number in range(images):
        size = number % 4
        corner = 60 * torch.rand(size, 2)
        boxes = torch.cat([corner, corner + 5 + 25 * torch.rand(size, 2), torch.randint(3, (size, 1))], dim=1)
        moved = boxes.repeat(2, 1)
        moved[:, :4] += 3 * torch.randn(2 * size, 4)
        moved[:, 2:4] = torch.maximum(moved[:, 2:4], moved[:, :2] + 1)
        moved[torch.rand(2 * size) < 0.2, 4] = 0
        scores = 0.1 + 0.9 * torch.rand(2 * size, 1)
        found.append(torch.cat([moved[:, :4], scores, moved[:, 4:]], dim=1))
        true.append(boxes)
    return found, true


def padded(found):
    rows = torch.zeros(len(found), max(1, *map(len, found)), 6)
    for place, boxes in zip(rows, found, strict=True):
        place[: len(boxes)] = boxes
    return rows


def value(overlaps, found, true, sizes=(5, 7)):
    metric = BoxPrecision(overlaps)
    start = 0
    for size in sizes:
        stop = start + size
        metric.update(padded(found[start:stop]), pad_sets(true[start:stop], (5,)))
        start = stop
    return metric.compute().item()


def by_pycocotools(found, true):
    """Return map and map50 as pycocotools' own evaluation says."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def entry(number, image, box, kind):
        x, y, right, bottom = box[:4].tolist()
        size = (right - x, bottom - y)
        return {"id": number, "image_id": image, "bbox": [x, y, *size], "area": size[0] * size[1], "iscrowd": 0,
                "category_id": int(kind)}  # fmt: skip

    rows = [(image, box) for image, boxes in enumerate(true) for box in boxes]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(len(true))],
        "categories": [{"id": kind} for kind in range(3)],
        "annotations": [entry(number + 1, image, box, box[4]) for number, (image, box) in enumerate(rows)],
    }
    truth.createIndex()
    said = [(image, box) for image, boxes in enumerate(found) for box in boxes]
    results = truth.loadRes(
        [{**entry(number + 1, image, box, box[5]), "score": box[4].item()} for number, (image, box) in enumerate(said)]
    )
    evaluation = COCOeval(truth, results, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:2]


def test_it_counts_as_pycocotools_does_whatever_the_batches(capsys):
    pytest.importorskip("pycocotools")
    torch.manual_seed(3)
    found, true = drawn()
    whole, half = by_pycocotools(found, true)
    assert 0.1 < whole < half < 0.95
    assert value(ALL, found, true) == pytest.approx(whole, abs=1e-12)
    assert value((0.5,), found, true) == pytest.approx(half, abs=1e-12)
    assert value((0.5,), found, true, sizes=(1, 1, 8, 2)) == pytest.approx(half, abs=1e-12)


def test_perfect_wrong_and_no_predictions():
    box = torch.tensor([[10.0, 10.0, 30.0, 20.0, 1.0]])
    perfect = torch.tensor([[10.0, 10.0, 30.0, 20.0, 0.9, 1.0]])
    elsewhere = torch.tensor([[50.0, 50.0, 70.0, 60.0, 0.9, 1.0]])
    other_class = torch.tensor([[10.0, 10.0, 30.0, 20.0, 0.9, 0.0]])
    assert value(ALL, [perfect], [box], (1,)) == 1.0
    assert value(ALL, [elsewhere], [box], (1,)) == 0.0
    assert value(ALL, [other_class], [box], (1,)) == 0.0
    assert value(ALL, [torch.zeros(0, 6)], [box], (1,)) == 0.0
    assert math.isnan(value(ALL, [perfect], [torch.zeros(0, 5)], (1,))), "there is no box to find"


def test_more_than_a_hundred_boxes_in_an_image_count():
    corner = torch.arange(150.0).reshape(-1, 1).expand(-1, 2) * 20
    true = torch.cat([corner, corner + 10, torch.zeros(150, 1)], dim=1)
    found = torch.cat([true[:, :4], torch.linspace(0.9, 0.1, 150).reshape(-1, 1), torch.zeros(150, 1)], dim=1)
    metric = BoxPrecision((0.5,))
    metric.update(found.unsqueeze(0), pad_sets([true], (5,)))
    assert metric.compute().item() == 1.0


@pytest.mark.parametrize("overlaps", [(0.5,), ALL])
def test_a_choice_of_images_is_the_metric_of_these_images(overlaps):
    torch.manual_seed(4)
    found, true = drawn(20)
    metric = BoxPrecision(overlaps)
    metric.update(padded(found), pad_sets(true, (5,)))
    rows = {"found": torch.cat(metric.found), "true": torch.cat(metric.true)}
    image = {
        "found": torch.arange(20).repeat_interleave(torch.tensor([int((each[:, 4] > 0).sum()) for each in found])),
        "true": torch.arange(20).repeat_interleave(torch.tensor([len(each) for each in true])),
    }
    times = torch.randint(3, (6, 20)).double()
    expected = []
    for often in times.int().tolist():
        which = [number for number in range(20) for _ in range(often[number])]
        expected.append(value(overlaps, [found[n] for n in which], [true[n] for n in which], (len(which),)))
    assert metric.of_choices(rows, Choices(times, image)).tolist() == pytest.approx(expected, abs=1e-12)


def test_of_two_boxes_on_one_object_the_better_one_counts_and_a_box_takes_the_object_that_it_overlaps_most():
    true = torch.tensor([[0.0, 0.0, 10.0, 10.0, 0.0], [0.0, 2.0, 10.0, 12.0, 0.0]])
    first, second = [0.0, 1.5, 10.0, 11.5, 0.9, 0.0], [0.0, 2.0, 10.0, 12.0, 0.8, 0.0]
    assert value((0.5,), [torch.tensor([first, second])], [true], (1,)) == 1.0, "the second takes what is left"
    assert value((0.9,), [torch.tensor([first, second])], [true], (1,)) == pytest.approx(51 / 101), (
        "the second object is taken"
    )
    doubled = torch.tensor([second, [*second[:4], 0.7, 0.0]])
    assert value((0.9,), [doubled], [true[1:]], (1,)) == 1.0, "the false one comes after every true one was found"
