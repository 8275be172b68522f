"""The task of turned images: mtl-init writes it, the dataset turns, other tasks are evaluated on images as they are."""

import pytest
import torch

from mtl_cli import cli
from mtl_cli.batch import WantedField
from mtl_cli.datasets.images import Images
from mtl_cli.errors import UserError
from tests.images._files import blob_set
from tests.tables._files import defaults, made


def wanting(path, name="turn", **reading):
    source = made(Images, defaults("images") | {"path": str(path), "size": [32, 32], "stratify": None})
    source.want([WantedField(name, "turn", "turn", reading)])
    source.open()
    return source


def test_a_task_that_asks_for_the_turn_has_images_turned_so(tmp_path):
    source = wanting(blob_set(tmp_path, count=12, sizes=((32, 32),)))
    rows = source.split("train").apart(torch.arange(8), source.field_specs)
    turns = set()
    for row in rows:
        changed = source.augmentation(row)
        plain = source.augmentation.pixels.scaled(row.inputs)
        turn = int(changed.fields["turn"])
        torch.testing.assert_close(changed.inputs, torch.rot90(plain, -turn, (1, 2)))
        turns.add(turn)
    assert len(turns) > 1


@pytest.mark.parametrize("options", [{"name": "angle"}, {"column": "kind"}])
def test_the_turn_is_no_column(tmp_path, options):
    with pytest.raises(UserError, match=r"Use tasks\.turn\.target=turn"):
        wanting(blob_set(tmp_path, count=6, sizes=((32, 32),)), **options)


def test_what_mtl_init_writes_trains_beside_other_tasks(tmp_path, monkeypatch, capsys):
    blob_set(tmp_path / "set", count=16, sizes=((16, 16),))
    monkeypatch.chdir(tmp_path)
    assert cli.main_init(["input=set/table.csv", "target=[kind]", "drop=[count]", "output=conf"]) == 0
    assert "task=kind+table_turn" in capsys.readouterr().out
    words = [
        "--config-dir",
        "conf",
        "task=kind+table_turn",
        "backbone=cnn",
        "backbone.channels=[4]",
        "backbone.dense=[8]",
    ]
    more = ["trainer.max_epochs=1", "data.batch_size=4", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true"]
    assert cli.main([*words, *more, "hydra.run.dir=run"]) == 0
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    (record,) = (tmp_path / "run/evaluations").rglob("metrics.json")
    assert "table_turn/accuracy" in record.read_text()
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    first, second = (path.read_text() for path in sorted((tmp_path / "run/evaluations").rglob("metrics.json")))
    assert first.split('"metrics"')[1] == second.split('"metrics"')[1], "the same turns every time"


def test_images_that_are_not_square_have_no_such_task(tmp_path, monkeypatch):
    blob_set(tmp_path / "set", count=8, sizes=((16, 24),))
    monkeypatch.chdir(tmp_path)
    assert cli.main_init(["input=set/table.csv", "target=[kind]", "output=conf"]) == 0
    assert not (tmp_path / "conf/task/table_turn.yaml").exists()
