import torch
from torch.nn import functional as F

from mtl_cli.layers.dense import dense_stack, dense_stages


def test_a_stack_equals_a_written_out_network():
    stack = dense_stack(6, [5, 4], 2, "tanh", None)
    w1, b1, w2, b2, w3, b3 = stack.parameters()
    x = torch.randn(3, 7, 6)
    expected = F.linear(torch.tanh(F.linear(torch.tanh(F.linear(x, w1, b1)), w2, b2)), w3, b3)
    torch.testing.assert_close(stack(x), expected)


def test_the_names_of_parameters_show_whether_there_is_dropout():
    names = [list(dense_stack(6, [5, 4], 2, "relu", dropout).state_dict()) for dropout in (None, 0.0)]
    assert names[0] == [f"{number}.{what}" for number in (0, 2, 4) for what in ("weight", "bias")]
    assert names[1] == [f"{number}.{what}" for number in (0, 3, 6) for what in ("weight", "bias")]


def test_stages_are_linear_activation_and_dropout():
    stages = dense_stages(6, [5, 4], "relu", 0.5)
    assert list(stages) == ["dense1", "dense2"]
    x = torch.randn(3, 6)
    for build in stages.values():
        stage = build().eval()
        weight, bias = stage.parameters()
        expected = F.linear(x, weight, bias).clamp(min=0)
        assert torch.equal(stage(x), expected)
        assert not torch.equal(stage.train()(x), expected)
        x = expected
    assert x.shape == (3, 4)
