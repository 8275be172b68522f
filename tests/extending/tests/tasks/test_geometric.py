import torch

from tests.tasks._inputs import make, targets


def test_the_loss_is_the_negative_log_likelihood_of_torchs_distribution():
    target, outputs = targets("geometric"), torch.randn(40, 1)
    law = torch.distributions.Geometric(probs=1.0 / (1.0 + outputs[:, 0].exp()))
    torch.testing.assert_close(make("geometric").loss(outputs, target), -law.log_prob(target).mean())
