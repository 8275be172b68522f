import pytest
import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.ngrams import NGrams
from mtl_cli.batch import Inputs, InputSpec
from mtl_cli.features import run_stages
from tests.sharing._inputs import tables, texts

TEXT = InputSpec("text", (), (20,))
BESIDE = InputSpec("text_table", (), (20,), table=InputSpec("table", (7,), (4, 3)))


def ngrams(**changes):
    arguments = {
        "width": 6,
        "longest": 2,
        "buckets": 50,
        "blocks": 1,
        "members": 1,
        "pieces": 4,
        "embedding": 2,
        "dropout": 0.0,
        "activation": "relu",
        "init": "default",
    }
    return NGrams(**{**arguments, **changes})


def stages_of(backbone, spec, values):
    return BackboneFactory(backbone, {"a": Inputs(values, "a")}, {"a": spec}, {"a": "a"}, seed=0)().eval()


def test_texts_become_their_bags_behind_residual_layers():
    stages = stages_of(ngrams(members=3), TEXT, texts(2))
    bag, begin = stages[0].stems["a"]
    expected = stages[1](begin(bag(texts(5))))
    torch.testing.assert_close(run_stages(stages, Inputs(texts(5), "a")).values, expected)
    assert expected.shape == (15, 6)


def test_table_columns_are_added_as_one_vector():
    values = {**texts(5), **tables(5)}
    stages = stages_of(ngrams(), BESIDE, values)
    stem = stages[0].stems["a"][0]
    torch.testing.assert_close(stem(values), stem.text(values) + stem.columns(values))
    other = {**values, "numeric": values["numeric"] + 1}
    assert (run_stages(stages, Inputs(other, "a")).values != run_stages(stages, Inputs(values, "a")).values).any()


@pytest.mark.parametrize("changes", [{"longest": 0}, {"buckets": 0}, {"width": 0}, {"pieces": -1}, {"embedding": 0}])
def test_values_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match=r"Use for example backbone\."):
        ngrams(**changes)
