"""Targets with a long tail are offered a log scale or absolute errors, by overrides that work and learn."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.init._looking import look, train
from tests.tables._files import write_csv

STREAM = np.random.default_rng(0)
X = STREAM.normal(size=300)
NOISE = STREAM.normal(size=300)
TARGETS = {
    "logs": np.exp(5 + 1.2 * X + 0.3 * NOISE),
    "tail below": -np.exp(5 + 1.2 * X + 0.3 * NOISE),
    "tail with zeros": np.exp(5 + 1.2 * X) * (NOISE > -1),
    "normal": 100 + X + NOISE,
    "even": STREAM.uniform(1, 9, 300),
}
OFFERS = {"logs": "regression.LogRegression", "tail below": "regression.L1Regression",
          "tail with zeros": "regression.L1Regression", "normal": None, "even": None}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if "tail" in kind else ()) for kind in TARGETS]
)
def test_what_is_offered_fits_the_tail_and_works(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [[x, y + 0.001] if kind == "normal" else [x, y] for x, y in zip(X, TARGETS[kind], strict=True)]
    write_csv(Path("data.csv"), ["x", "price of one"], rows)
    out = look(capsys, "['price of one']")
    found = re.search(r"Try .*?, (tasks\.\S+\._target_=mtl_cli\.tasks\.(\S+))", out)
    assert (found and found[2]) == OFFERS[kind]
    if found:
        test = train(capsys, out, found[1], "trainer.max_epochs=30")
        assert test["price_of_one/r2"] > 0.5
