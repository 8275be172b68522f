"""Recipes of the pages on texts and sounds: their YAML, as it is shown, trains what it says."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch
import yaml

import mtl_cli.sounds
import mtl_cli.texts
from mtl_cli import cli
from tests._pages import blocks
from tests.sounds._files import tone_set, write_table
from tests.tables._files import write_csv
from tests.texts import _pairs

SMALL = ["trainer.device=cpu", "trainer.precision=fp32", "data.batch_size=16", "quiet=true", "hydra.run.dir=run"]
TINY = ["backbone=speech", "backbone.width=16", "backbone.num_heads=2", "backbone.num_layers=2", "backbone.filters=4",
        "backbone.subsampling=2"]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_block(package, name, conf):
    """Write the YAML of a page whose first line names that file."""
    [text] = [text for head, text in blocks(Path(package.__path__[0], "README.md")) if text.startswith(f"# {name}")]
    (Path(conf) / name.partition("/")[2]).write_text(text.split("\n", 1)[1])


def rows_of(path, delimiter=","):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def trained(capsys, *words):
    assert cli.main(["--config-dir", *words, *SMALL]) == 0, capsys.readouterr().err


def spoken(count=24):
    """Write tones with a transcript of letters, and one of whole words in the place of phonemes."""
    table = tone_set(Path("set"), count, transcripts=True)
    names = {"l": "l ow", "m": "m i d", "h": "h ai"}
    rows = rows_of(table)
    write_table(table, [row | {"phonemes": " ".join(names[k] for k in row["transcript"].split())} for row in rows])
    assert cli.main_init(["input=set/table.csv", "target=[transcript]", "output=my_conf"]) == 0


def test_ctc_and_attention_on_one_column_are_two_tasks_of_one_dataset(capsys):
    spoken()
    write_block(mtl_cli.sounds, "my_conf/task/joint.yaml", "my_conf")
    trained(capsys, "my_conf", "task=joint", *TINY, "trainer.max_epochs=2")
    assert cli.main_predict(["checkpoint=run", "input=set/table.csv", "output=out.csv", "quiet=true"]) == 0
    assert {"frames_prediction", "decoder_prediction", "decoder_probability"} <= set(rows_of("out.csv")[0])
    assert cli.main_eval(["checkpoint=run", "quiet=true"]) == 0
    assert list(Path("run/evaluations").rglob("attention.png")), "the decoder looks at frames"


@pytest.mark.slow
def test_phonemes_read_a_lower_stage_than_words(capsys):
    spoken()
    write_block(mtl_cli.sounds, "my_conf/task/phonemes.yaml", "my_conf")
    attach = ["sharing=hierarchical", "sharing.attach={phonemes:layer1}"]
    trained(capsys, "my_conf", "task=transcript+phonemes", *TINY, *attach, "trainer.max_epochs=1")
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["sharing"]["attach"] == {"phonemes": "layer1"}
    shared = re.search(r"([\d.]+) k parameters, ([\d.]+) k of them shared", Path("run/train.log").read_text())
    assert float(shared[2]) < float(shared[1]) - 5, "layer2 is not shared with phonemes"
    assert cli.main_predict(["checkpoint=run", "input=set/table.csv", "output=out.csv", "quiet=true"]) == 0
    assert {"transcript_prediction", "phonemes_prediction"} <= set(rows_of("out.csv")[0])


def long_rows(count, longest):
    """Return pairs in long form: the language, and what is written in it."""
    found = []
    for source, back, shifted, _ in _pairs.pairs(count, longest=longest):
        found += [(f"<{name}> {source}", text) for name, text in (("back", back), ("next", shifted)) if text]
    return found


def long_conf():
    assert cli.main_init(["input=long.tsv", "source=source", "target=[target]", "output=conf"]) == 0
    write_block(mtl_cli.texts, "conf/task/any.yaml", "conf")


def test_one_decoder_writes_the_language_that_its_source_begins_with(capsys):
    write_csv(Path("long.tsv"), ["source", "target"], long_rows(30, 3), delimiter="\t")
    long_conf()
    trained(capsys, "conf", "task=any", "backbone=gru", "backbone.width=16", "trainer.max_epochs=1")
    assert cli.main_predict(["checkpoint=run", "input=long.tsv", "output=out.tsv", "quiet=true"]) == 0
    assert "any_prediction" in rows_of("out.tsv", "\t")[0]


@pytest.mark.slow
def test_one_decoder_learns_two_languages(capsys):
    write_csv(Path("long.tsv"), ["source", "target"], long_rows(500, 2), delimiter="\t")
    long_conf()
    sizes = ["backbone=gru", "backbone.num_layers=1", "backbone.width=48", "optimizer.lr=0.005"]
    known = "tasks.any.dataset.group_column=null"  # of 82 sources most are in every split
    trained(capsys, "conf", "task=any", known, *sizes, "trainer.max_epochs=16", "trainer.eval_every=8")
    found = json.loads(Path("run/summary.json").read_text())["test"]
    assert found["any/exact_match"] > 0.9


@pytest.mark.slow
def test_languages_have_adapters_of_their_own(capsys):
    write_csv(Path("pairs.tsv"), ["en", "de", "fr"], [row[:3] for row in _pairs.pairs(40)], delimiter="\t")
    assert cli.main_init(["input=pairs.tsv", "source=en", "target=[de,fr]", "output=conf"]) == 0
    trained(capsys, "conf", "task=de+fr", "backbone=transformer", "backbone.width=16", "backbone.num_layers=2",
            "sharing=adapters", "trainer.max_epochs=1")  # fmt: skip
    file = next(Path("run/checkpoints").glob("*.pt"))
    names = [name for name in torch.load(file, weights_only=True)["model"] if "adapters" in name or "shift" in name]
    assert any(".de" in name for name in names)
    assert any(".fr" in name for name in names)
