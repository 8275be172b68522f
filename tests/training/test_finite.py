import math

import pytest
import torch

from mtl_cli.training.window import all_finite, total_norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_entry_anywhere_is_found(bad, dtype):
    for tensor in range(3):
        for entry in (0, 100, 4999):
            tensors = [torch.randn(50, 100, dtype=dtype) for _ in range(3)]
            assert all_finite(tensors)
            tensors[tensor].view(-1)[entry] = bad
            assert not all_finite(tensors)
            assert not math.isfinite(total_norm(tensors))


def test_infinities_of_both_signs_do_not_cancel():
    assert not all_finite([torch.tensor([math.inf, -math.inf])])


def test_entries_whose_squares_overflow_are_finite_but_their_norm_is_not():
    huge = [torch.full((4,), 1e30), torch.ones(3)]
    assert all_finite(huge)
    assert total_norm(huge) == math.inf


def test_the_norm_is_that_of_all_entries_together():
    tensors = [torch.randn(7, 5), torch.randn(11)]
    expected = torch.cat([tensor.double().flatten() for tensor in tensors]).norm()
    assert float(total_norm(tensors)) == pytest.approx(float(expected), rel=1e-6)


def test_nothing_is_finite():
    assert all_finite([])


def test_the_norm_takes_gradients_of_several_dtypes():
    tensors = [torch.full((4,), 2.0, dtype=torch.bfloat16), torch.tensor([3.0]), torch.zeros(2, dtype=torch.float64)]
    assert float(total_norm(tensors)) == 5.0
    assert not total_norm([torch.ones(2, requires_grad=True)]).requires_grad
