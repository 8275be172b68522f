import itertools

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mtl_cli.layers.piecewise import PiecewiseLinear


def written_out(x: float, borders: list[float]) -> list[float]:
    """Equation 1 of the paper, piece by piece."""
    found = []
    for number, (a, b) in enumerate(itertools.pairwise(borders)):
        if x < a and number > 0:
            found.append(0.0)
        elif x >= b and number < len(borders) - 2:
            found.append(1.0)
        else:
            found.append((x - a) / (b - a))
    return found


@pytest.mark.parametrize("pieces", [1, 2, 3, 8, 200])
def test_it_equals_the_papers_equation_on_quantiles_of_a_normal(pieces):
    inner = norm.ppf(np.arange(1, pieces) / pieces)
    edge = max([2.5, *(inner[-1:] + 0.5)])
    borders = [-edge, *inner, edge]
    numbers = torch.tensor([[-9.0, 0.3], [0.0, 2.4], [-0.7, 30.0]])
    out = PiecewiseLinear(pieces)(numbers)
    assert out.shape == (3, 2 * (pieces + 1))
    for row, found in zip(numbers.tolist(), out, strict=True):
        expected = [value for x in row for value in written_out(x, borders)] + row
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-5)


def test_every_piece_of_a_normal_holds_as_many_numbers():
    numbers = torch.special.ndtri((torch.arange(8000, dtype=torch.float64) + 0.5) / 8000).float().unsqueeze(1)
    places = PiecewiseLinear(8)(numbers)[:, 1:7]  # all but the outermost pieces, and the number itself
    assert ((places > 0) & (places < 1)).sum(dim=0).tolist() == [1000] * 6
