"""Tasks that are computed as one on two ranks against one process that accumulates."""

import pytest

from mtl_cli.ranks.ranks import ALONE
from tests._thinned import thinned
from tests.ranks import _cases
from tests.ranks._pool import differences
from tests.runs import _stacks

FEATURES = "weighting.level=features"
SETTINGS = {
    "fixed": ["weighting=fixed"],
    "pcgrad": ["weighting=pcgrad", "optimizer=sgd"],
    "uncertainty, sgd": ["weighting=uncertainty", "optimizer=sgd"],
    "mgda, features": ["weighting=mgda", FEATURES],
    "modo": ["weighting=modo"],
}


@pytest.mark.parametrize("name", thinned(SETTINGS, ["fixed"]))
def test_two_ranks_equal_accumulation(name, two, tmp_path):
    """Most labels are missing, so that a rank has none of a task that the other one has."""
    _stacks.write_data(tmp_path, missing=0.8)
    case = {"path": str(tmp_path / "made.npz"), "overrides": SETTINGS[name], "micro": 4}
    found = two.run("many", **case)
    assert any(value for key, value in found.items() if key.endswith("absent"))
    assert differences(found, _cases.many(ALONE, **case), 1e-5) == []
