"""A run on texts that is killed twice and resumed ends bit for bit as the whole run: weights, optimizer, records."""

import pytest

from mtl_cli.runs import run
from tests import _toy
from tests._resuming import assert_same, assert_same_run, final, train_until
from tests._thinned import thinned
from tests.tables._files import write_csv
from tests.texts import _grammars, _reviews
from tests.texts._files import write
from tests.texts._runs import backbone, dataset, node
from tests.texts.test_beside_tables import tasks
from tests.texts.test_optimum import SMALL


def reviews(folder):
    return tasks(write_csv(folder / "reviews.csv", _reviews.HEADER, _reviews.table(250, 0)))


def reviews_by_rank(folder):
    return tasks(write_csv(folder / "reviews.csv", _reviews.HEADER, _reviews.table(250, 0)), scale="quantile")


def words(folder):
    path = write(folder / "words.conll", _grammars.conll_text(250, 0))
    on = dataset("conll", path, {"tag": {"column": "tag"}}, columns=["word", "tag", "span"])
    return {"tag": node("tokens", "tag", on)}


@pytest.mark.parametrize(
    ("name", "make"),
    thinned(
        [
            ("gru", reviews),
            ("transformer", reviews),
            ("text_cnn", reviews),
            ("ngrams", reviews_by_rank),
            ("lstm", words),
        ],
        [("gru", reviews), ("lstm", words)],
    ),
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, monkeypatch, name, make):
    changes = {
        "tasks": make(tmp_path), "backbone": backbone(name, **SMALL[name] | {"dropout": 0.2}), "ema__decay": 0.9,
        "trainer__max_epochs": 4, "save__every": 3, "trainer__log_every": 2,
    }  # fmt: skip
    run.train(_toy.config(**changes), tmp_path / "whole", [])
    train_until(monkeypatch, tmp_path / "parts", 5, **changes)
    train_until(monkeypatch, tmp_path / "parts", 11, resume=True)
    run.resume(tmp_path / "parts", {"trust": ["tests"]}, [])
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert_same(final(tmp_path / "parts")["datasets"], final(tmp_path / "whole")["datasets"], "datasets")
