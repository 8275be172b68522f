import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mtl_cli.batch import FieldSpec
from mtl_cli.heads.variational import VariationalHead
from mtl_cli.tasks.variational_reconstruction import VariationalReconstruction

FIELD = FieldSpec("image", shape=(3, 4, 5))


def make(**changes):
    return VariationalReconstruction("image", 1.0, VariationalHead(), **changes, name="v", field=FIELD)


def outputs(rows):
    return {
        "image": torch.randn(rows, 3, 4, 5),
        "mean": torch.randn(rows, 6),
        "log_variance": torch.randn(rows, 6),
    }


def test_the_loss_is_the_negative_evidence_lower_bound_up_to_a_constant():
    found, target, beta = outputs(7), torch.randn(7, 3, 4, 5), 0.3
    pixels = Normal(found["image"], beta**0.5)
    latent = kl_divergence(Normal(found["mean"], (found["log_variance"] / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    bound = pixels.log_prob(target).sum(dim=(1, 2, 3)) - latent  # the evidence lower bound of each image
    constant = Normal(0.0, beta**0.5).log_prob(torch.tensor(0.0)) * 60
    expected = (2 * beta * (constant - bound) / 60).mean()
    torch.testing.assert_close(make(beta=beta).loss(found, target), expected)


def test_parts_of_a_batch_add_up_and_rows_without_an_image_change_nothing():
    task, found, target = make(), outputs(6), torch.randn(6, 3, 4, 5)
    target[4] = torch.nan
    whole = task.loss(found, target)
    kept = [0, 1, 2, 3, 5]
    torch.testing.assert_close(task.loss({k: v[kept] for k, v in found.items()}, target[kept]), whole)
    parts = [([0, 1], 40), ([2, 3, 4], 40), ([5], 20)]
    summed = sum(task.loss({k: v[p] for k, v in found.items()}, target[p]) * n / 100 for p, n in parts)
    torch.testing.assert_close(summed, whole)


def test_the_trivial_predictor_says_the_mean_colour_whatever_is_latent():
    target = torch.randn(50, 3, 4, 5) + torch.tensor([1.0, 0.0, -2.0]).reshape(3, 1, 1)
    task = make()
    constant = task.repeated(task.trivial_outputs(task.summarise(target)), target)
    torch.testing.assert_close(constant["image"][3, :, 1, 2], target.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-5)
    assert not constant["mean"].any()
    assert task.loss(constant, target) == pytest.approx(target.var(dim=(0, 2, 3), correction=0).mean().item(), rel=1e-4)


def test_a_weight_below_zero_is_refused():
    with pytest.raises(ValueError, match=r"tasks.v.beta is -1; .* Use tasks.v.beta=0.1"):
        make(beta=-1)
