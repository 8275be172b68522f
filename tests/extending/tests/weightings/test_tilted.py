import torch

from tests.weightings._inputs import make


def test_weights_are_k_times_the_softmax_of_the_losses():
    losses = torch.tensor([1.0, 3.0, 2.0], requires_grad=True)
    make("tilted", 3, t=2.0)(losses, torch.arange(3)).backward()
    exponents = torch.tensor([2.0, 6.0, 4.0]).exp()
    torch.testing.assert_close(losses.grad, 3 * exponents / exponents.sum())
