import math

import pytest
import torch

from mtl_cli.layers.centers import MIN_OVERLAP, at_positions, centre_focal_loss, draw_peaks, find_peaks, peak_radius


def overlap(one, other):
    width, height = (min(one[k + 2], other[k + 2]) - max(one[k], other[k]) for k in (0, 1))
    both = width * height
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(area) - both)


@pytest.mark.parametrize(("width", "height"), [(10.0, 10.0), (4.0, 30.0), (100.0, 7.0)])
def test_corners_that_are_off_by_the_radius_still_overlap_enough(width, height):
    radius = peak_radius(torch.tensor(width), torch.tensor(height)).item()
    box = (0.0, 0.0, width, height)
    moves = [(a * radius, b * radius) for a in (-1, 1) for b in (-1, 1)]
    worst = min(overlap(box, (a, a, width + b, height + b)) for a, b in moves)
    assert worst == pytest.approx(MIN_OVERLAP, abs=1e-4)


def test_peaks_are_gaussians_of_which_the_largest_wins():
    columns, rows = torch.tensor([[2, 6, 0], [1, 0, 0]]), torch.tensor([[3, 1, 0], [4, 0, 0]])
    sigmas, maps = torch.tensor([[1.0, 2.0, 1.0], [0.5, 1.0, 1.0]]), torch.tensor([[0, 0, 1], [1, -1, -1]])
    heat = draw_peaks(columns, rows, sigmas, maps, (2, 5, 8))
    for b in range(2):
        for c in range(2):
            for y in range(5):
                for x in range(8):
                    near = [
                        math.exp(-((x - columns[b, n]) ** 2 + (y - rows[b, n]) ** 2) / (2 * sigmas[b, n] ** 2))
                        for n in range(3)
                        if maps[b, n] == c
                    ]
                    assert heat[b, c, y, x] == pytest.approx(max(near, default=0.0), rel=1e-5, abs=1e-12)
    assert heat[0, 0, 3, 2] == heat[0, 0, 1, 6] == 1.0


def test_what_was_drawn_is_found():
    columns, rows = torch.tensor([[2, 6, 0]]), torch.tensor([[3, 1, 0]])
    heat = draw_peaks(columns, rows, torch.ones(1, 3), torch.tensor([[0, 1, 1]]), (2, 5, 8))
    scores, maps, found_rows, found_columns = find_peaks(heat, 3)
    found = {tuple(each) for each in torch.stack([maps[0], found_rows[0], found_columns[0]], dim=1).tolist()}
    assert found == {(0, 3, 2), (1, 1, 6), (1, 0, 0)}
    assert scores.tolist() == [[1.0, 1.0, 1.0]]
    assert find_peaks(heat, 1000)[0].shape == (1, 80)


def test_values_are_read_at_their_positions():
    maps = torch.randn(2, 3, 4, 5)
    rows, columns = torch.tensor([[0, 3], [2, 1]]), torch.tensor([[4, 0], [1, 1]])
    found = at_positions(maps, rows, columns)
    for b in range(2):
        for n in range(2):
            assert torch.equal(found[b, n], maps[b, :, rows[b, n], columns[b, n]])


def test_the_focal_loss_is_that_of_the_paper():
    logits, heat = torch.randn(50), torch.rand(50)
    heat[:5] = 1.0
    for loss, x, y in zip(centre_focal_loss(logits, heat).tolist(), logits.tolist(), heat.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        wanted = (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
        assert loss == pytest.approx(-wanted, rel=1e-4, abs=1e-7)
    assert centre_focal_loss(torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0])).isfinite().all()
