"""The worked example conf/experiment/text.yaml on a small part of its generated texts."""

import importlib.util
from pathlib import Path

from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.runs import run

SCRIPT = Path(__file__).parents[2] / "scripts" / "generate_texts.py"
spec = importlib.util.spec_from_file_location("generate_texts", SCRIPT)
texts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(texts)


def test_the_example_trains_every_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts.write(tmp_path / "examples", rows=400, sentences=300)
    with hydra_session() as session:
        config = plain_config(session.compose(["experiment=text", "trainer.max_epochs=3", "data.batch_size=16"]))
    found = run.train(config, tmp_path / "run", [])["test"]
    assert {key.partition("/")[0] for key in found} == {"tag", "entity", "sentiment", "topic"}
    assert found["tag/accuracy"] > 0.8


def test_the_texts_are_the_same_every_time():
    assert texts.reviews(50) == texts.reviews(50)
    assert texts.entities(50) == texts.entities(50)
