import pytest
import torch
from torchvision import ops

from mtl_cli.layers.box_overlap import overlaps, without_doubles


def boxes(images, number, spread, kinds=2):
    """Return random boxes of score above 0, by falling score; the smaller `spread`, the more of them overlap."""
    corner, size = spread * torch.rand(images, number, 2), 4 + 8 * torch.rand(images, number, 2)
    scores = torch.rand(images, number, 1).sort(dim=1, descending=True).values.clamp(min=1e-3)
    return torch.cat([corner, corner + size, scores, torch.randint(kinds, (images, number, 1))], dim=-1)


def test_overlaps_are_those_of_torchvision():
    found = boxes(3, 20, 20.0)[..., :4]
    torch.testing.assert_close(overlaps(found), torch.stack([ops.box_iou(each, each) for each in found]))


def kept_one_by_one(boxes, most):
    """Return the places of the boxes [K, 6] that no better one of their class, itself kept, overlaps by more."""
    kept = []
    for place, box in enumerate(boxes):
        same = [other for other in kept if boxes[other, 5] == box[5]]
        if not any(ops.box_iou(box[None, :4], boxes[other, None, :4]).item() > most for other in same):
            kept.append(place)
    return kept


@pytest.mark.parametrize("spread", [5.0, 20.0, 60.0])
@pytest.mark.parametrize("most", [0.2, 0.5, 1.0])
def test_of_boxes_that_overlap_the_best_is_kept_one_by_one(spread, most):
    given = boxes(2, 40, spread)
    found = without_doubles(given, most)
    for before, after in zip(given, found, strict=True):
        kept = kept_one_by_one(before, most)
        assert after[:, 4].nonzero().flatten().tolist() == kept
        torch.testing.assert_close(after[kept], before[kept])
