"""On sentences of a known grammar each kind of task reaches the best predictor; not with shuffled labels."""

import pytest

from tests.tables._files import write_csv
from tests.texts import _grammars
from tests.texts._files import write
from tests.texts._runs import backbone, dataset, node, train

RUN = {"trainer__max_epochs": 8, "optimizer__lr": 0.01, "trainer__log_every": 1000, "trainer__eval_every": 8}
SMALL = {
    "gru": {"embedding": 16, "width": 32, "num_layers": 1, "dropout": 0.0},
    "lstm": {"embedding": 16, "width": 32, "num_layers": 1, "dropout": 0.0},
    "transformer": {"width": 32, "num_heads": 2, "hidden_factor": 2, "num_layers": 2, "dropout": 0.0},
    "text_cnn": {"embedding": 16, "num_filters": 32, "widths": [2, 3], "dropout": 0.0},
    "ngrams": {"width": 32, "buckets": 512, "blocks": 2, "members": 2, "dropout": 0.0},
}
TARGETS = {
    "positive": {"kind": "binary", "column": "positive"},
    "topic": {"kind": "class", "column": "topic"},
    "score": {"kind": "real", "column": "score"},
    "stars": {"kind": "ordinal", "column": "stars"},
    "parts": {"kind": "multilabel", "columns": ["names", "things"]},
}
KINDS = {"positive": "binary", "topic": "class", "score": "real", "stars": "ordinal", "parts": "multilabel"}


def whole_texts(folder, name, shuffled=False, rows=3000):
    path = write_csv(folder / "texts.csv", _grammars.HEADER, _grammars.text_table(rows, 0, shuffled))
    targets = TARGETS | {"positive": {"kind": "binary", "column": "positive"}}
    on = dataset("text", path, targets, test_fraction=0.3)
    tasks = {task: node(kind, task, on) for task, kind in KINDS.items()}
    return train(tasks, folder / "run", backbone(name, **SMALL[name]), **RUN)["test"]


def words(folder, name, shuffled=False, **changes):
    path = write(folder / "words.conll", _grammars.conll_text(4000 if name == "transformer" else 1200, 0, shuffled))
    targets = {"tag": {"column": "tag"}, "span": {"column": "span"}}
    on = dataset("conll", path, targets, columns=["word", "tag", "span"], test_fraction=0.3)
    tasks = {task: node("tokens", task, on) for task in targets}
    longer = {"trainer__max_epochs": 16, "optimizer__lr": 0.004} if name == "transformer" else {}
    return train(tasks, folder / "run", backbone(name, **SMALL[name] | changes), **RUN | longer)["test"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_whole_texts_reach_the_optimum(tmp_path, name):
    found = whole_texts(tmp_path, name)
    assert found["positive/accuracy"] >= 0.95 * _grammars.BEST_BINARY
    assert found["topic/accuracy"] >= 0.95 * _grammars.BEST_CLASSES
    assert found["score/rmse"] <= 1.0 / 0.85
    assert found["stars/accuracy"] >= 0.95
    assert found["parts/map"] >= 0.95


@pytest.mark.parametrize("name", ["gru", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lstm", "transformer"))])
def test_words_reach_the_optimum(tmp_path, name):
    found = words(tmp_path, name)
    assert found["tag/accuracy"] >= 0.95
    assert found["span/span_f1"] >= 0.95


@pytest.mark.slow
def test_words_reach_the_optimum_by_convolutions(tmp_path):
    found = words(tmp_path, "text_cnn", last="conv", widths=[3, 5])
    assert found["tag/accuracy"] >= 0.95
    assert found["span/span_f1"] >= 0.95


@pytest.mark.slow
def test_shuffled_labels_teach_nothing(tmp_path):
    found = whole_texts(tmp_path, "gru", shuffled=True)
    assert found["positive/accuracy"] < 0.75
    assert found["topic/accuracy"] < 0.6
    assert found["score/rmse"] > 2.0
