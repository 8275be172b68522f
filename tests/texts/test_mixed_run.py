"""One run on images, a table and texts."""

import torch

from tests import _toy
from tests.tables._files import defaults, write_csv
from tests.texts import _grammars
from tests.texts._runs import backbone, dataset, node, train


def test_image_table_and_text_learn_in_one_run(tmp_path):
    texts = write_csv(tmp_path / "texts.csv", _grammars.HEADER, _grammars.text_table(300, 0))
    stream = torch.Generator().manual_seed(0)
    points = torch.randn(200, 2, generator=stream).tolist()
    table = write_csv(tmp_path / "table.csv", ["a", "b", "y"], [[a, b, "np"[a > b]] for a, b in points])
    targets = {"y": {"kind": "class", "column": "y"}}
    on_table = {"_target_": "mtl_cli.datasets.tabular.Tabular", **defaults("tabular"), "path": str(table)}
    topics = {"topic": {"kind": "class", "column": "topic"}}
    on_texts = dataset("text", texts, topics, batch_size=16)
    tasks = {
        "quadrant": _toy.task("quadrant"),
        "y": node("class", "y", {**on_table, "targets": targets, "batch_size": 16}),
        "topic": node("class", "topic", on_texts),
    }
    small = backbone("mixed", hidden=[32, 32], channels=[8], dropout=0.0)
    found = train(tasks, tmp_path / "run", small, trainer__max_epochs=10, optimizer__lr=0.01)
    assert found["test"]["quadrant/accuracy"] > 0.6
    assert found["test"]["y/accuracy"] > 0.85
    assert found["test"]["topic/accuracy"] > 0.7
    assert found["parameters"]["shared"] == 2 * (32 * 32 + 32)
