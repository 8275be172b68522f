import torch
from torch import nn

from mtl_cli.model.ema import EMA


def network():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[2].bias.requires_grad_(False)
    return model


def walk(model, ema, number):
    """Move every parameter at random; return the written-out average of each trained one."""
    averages = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for step in range(number):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update()
        decay = min(ema.decay, (1 + step) / (10 + step))
        for name, parameter in model.named_parameters():
            averages[name] = decay * averages[name] + (1 - decay) * parameter.detach()
    return {name: average for name, average in averages.items() if name != "2.bias"}


def test_the_average_equals_a_written_out_loop():
    for decay in (0.5, 0.9, 0.999):
        model = network()
        ema = EMA(model, decay)
        expected = walk(model, ema, 30)
        with ema.applied():
            for name, parameter in model.named_parameters():
                if name in expected:
                    torch.testing.assert_close(parameter.detach(), expected[name])


def test_a_block_sees_the_average_and_the_model_comes_back_bit_for_bit_also_after_an_error():
    model = network()
    ema = EMA(model, 0.9)
    walk(model, ema, 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(6, 3)
    model.eval()
    plain = model(x)
    try:
        with ema.applied():
            assert not torch.equal(model(x), plain)
            assert torch.equal(model[2].bias, before["2.bias"])
            assert torch.equal(model[1].running_mean, before["1.running_mean"])
            raise KeyError
    except KeyError:
        pass
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(x), plain)


def test_averages_and_updates_survive_a_resume_bit_for_bit(tmp_path):
    model = network()
    ema = EMA(model, 0.9)
    walk(model, ema, 7)
    torch.save({"model": model.state_dict(), "ema": ema.state_dict()}, tmp_path / "a.pt")
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    copy = network()
    copy.load_state_dict(state["model"])
    again = EMA(copy, 0.9)
    again.load_state_dict(state["ema"])
    for each, average in ((model, ema), (copy, again)):
        torch.manual_seed(1)
        walk(each, average, 3)
    for left, right in zip(ema.averages, again.averages, strict=True):
        assert torch.equal(left, right)
    assert ema.updates == again.updates == 10
