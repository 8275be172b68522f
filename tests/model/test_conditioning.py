import copy

import pytest
import torch
from torch import nn

from mtl_cli.features import Features, FeatureSpec
from mtl_cli.model.conditioning import Conditioner, FiLM
from tests import _models
from tests._models import ONE


def drawn(film, seed=0):
    """Give a fresh module weights that are not 0."""
    torch.manual_seed(seed)
    for parameter in film.parameters():
        nn.init.normal_(parameter)
    return film


@pytest.mark.parametrize("shape", [(3,), (5, 3), (3, 4, 6)])
def test_scales_and_shifts_each_channel_by_a_function_of_the_vector(shape):
    film = drawn(FiLM(FeatureSpec(shape), [0.2, 0.8])).eval()
    values = torch.randn(2, *shape)
    hidden = torch.tanh(film.hidden.weight @ torch.tensor([2 * 0.2 - 1, 2 * 0.8 - 1]) + film.hidden.bias)
    numbers = film.out.weight @ hidden + film.out.bias
    found = film(values)
    for channel in range(3):
        at = (slice(None), channel) if len(shape) == 3 else (..., channel)
        wanted = (1 + numbers[channel]) * values[at] + numbers[3 + channel]
        assert torch.allclose(found[at], wanted, rtol=1e-5, atol=1e-6)


def test_starts_as_the_identity_and_keeps_mask_skips_and_pieces():
    values, mask = torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    given = Features(values, mask, (values * 2,), torch.zeros(2, 5, dtype=torch.int64))
    film = FiLM(FeatureSpec((5, 3)), [0.5, 0.5])
    after = film.after_stage(film, (), given)
    (before,) = film.before_head(film, (given,))
    for found in (after, before):
        assert torch.equal(found.values, values)
        assert (found.mask, found.skips, found.pieces) == (given.mask, given.skips, given.pieces)


def test_the_vector_of_a_step_counts_in_training_only():
    film = drawn(FiLM(FeatureSpec((3,)), [0.5, 0.5]))
    values = torch.randn(2, 3)
    plain = film(values)
    film.given = torch.tensor([0.9, 0.1])
    assert not torch.allclose(film.train()(values), plain)
    assert torch.equal(film.eval()(values), plain)


@pytest.mark.parametrize(("sharing", "copies"), [("hard", 1), ("independent", 2)])
def test_every_stage_and_head_is_conditioned_also_in_a_copy_of_the_model(sharing, copies):
    model, factory, _ = _models.build(sharing)
    heads = dict(model.heads.items())
    model.conditioner = Conditioner(model.sharing, factory.specs, heads, [0.5, 0.5])
    assert len(model.conditioner.stages) == copies * factory.num_stages
    inputs = _models.examples(ONE)["digits"]
    model.eval()
    before = model(inputs, ["a", "b"]).outputs
    twin = copy.deepcopy(model)
    for number, film in enumerate(twin.conditioner.films):
        drawn(film, number)
    after = twin(inputs, ["a", "b"]).outputs
    assert all(not torch.allclose(after[task], before[task]) for task in before)
    assert all(torch.equal(model(inputs, [task]).outputs[task], before[task]) for task in before)
    names = [part.name for part in twin.parts()]
    assert names == [name for name, _ in twin.named_parameters()]


def test_a_mode_without_stages_is_refused():
    _, factory, _ = _models.build("hard")
    with pytest.raises(ValueError, match="Use weighting=fixed"):
        Conditioner(nn.Identity(), factory.specs, {}, [0.5, 0.5])
