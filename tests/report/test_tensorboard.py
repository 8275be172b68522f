import sys

import pytest

from mtl_cli.errors import UserError
from mtl_cli.report import tensorboard
from mtl_cli.runs import run
from mtl_cli.storage.records import read_records
from tests import _toy


def events(folder):
    """The scalars by name: steps and values."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reading.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {name: [(each.step, each.value) for each in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_a_record_becomes_named_numbers():
    train = {"kind": "train", "step": 3, "lr": 0.1, "losses": {"a": 1.0, "b": None}, "notes": {"conflicts": 0.5}}
    assert dict(tensorboard.scalars(train)) == {"losses/a": 1.0, "notes/conflicts": 0.5, "lr": 0.1}
    evaluation = {"kind": "eval", "split": "val", "step": 3, "metrics": {"a/f1": 0.5, "a/auc": float("nan")}}
    assert dict(tensorboard.scalars(evaluation)) == {"val/a/f1": 0.5}


@pytest.mark.filterwarnings("ignore")  # of TensorBoard's own
def test_a_run_mirrors_its_records_and_goes_on_where_it_continues(tmp_path):
    pytest.importorskip("tensorboard")
    config = {**_toy.config(trainer__max_epochs=2), "logger": "tensorboard"}
    run.train(config, tmp_path / "run", [])
    plain = _toy.config(trainer__max_epochs=2)
    run.train(plain, tmp_path / "plain", [])
    assert not (tmp_path / "plain" / "tensorboard").exists()
    lines = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert lines == (tmp_path / "plain" / "metrics.jsonl").read_bytes()
    records = read_records(tmp_path / "run" / "metrics.jsonl")
    expected = {
        name: [
            (record["step"], pytest.approx(value))
            for record in records
            for own, value in tensorboard.scalars(record)
            if own == name
        ]
        for record in records
        for name, _ in tensorboard.scalars(record)
    }
    assert events(tmp_path / "run") == expected
    assert any(name.startswith("val/") for name in expected)
    run.resume(tmp_path / "run", {"trainer.max_epochs": 3, "trust": ["tests"]}, [])
    steps = [step for step, _ in next(values for name, values in events(tmp_path / "run").items() if "val/" in name)]
    assert steps == sorted(set(steps))
    assert len(steps) == 3


def test_without_the_package_nothing_starts(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    config = {**_toy.config(), "logger": "tensorboard"}
    with pytest.raises(UserError, match=r"pip install 'mtl-cli\[tensorboard\]'"):
        run.train(config, tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_the_mirror_and_not_the_run(tmp_path, monkeypatch, caplog):
    pytest.importorskip("tensorboard")
    mirror = tensorboard.TensorBoard(tmp_path, 0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mirror._writer, "add_scalar", full)
    for _ in range(2):
        mirror.write({"kind": "train", "step": 1, "losses": {"a": 1.0}})
    mirror.close()
    assert [record.getMessage().count("No space left") for record in caplog.records] == [1]
