"""Runs on files of images with the shipped backbones of maps: resumed, they end bit for bit as undisturbed ones do."""

import pytest

from mtl_cli import cli
from mtl_cli.storage import checkpoint
from tests._resuming import assert_same
from tests.images._files import blob_set

BACKBONES = {
    "unet": ["backbone.channels=[4,8]", "backbone.dropout=0.1"],
    "segnet": ["backbone.channels=[4,8]", "backbone.norm=batch"],
    "resnet": ["backbone.depth=18", "backbone.norm=batch", "backbone.fpn=8"],
    "timm": ["backbone.model=test_resnet"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set whose label images are learnt in windows, changed in every way that mtl-init proposes."""
    found = tmp_path_factory.mktemp("set")
    blob_set(found / "set", count=12, sizes=((32, 40), (36, 32)))
    words = [f"input={found / 'set/table.csv'}", "target=[instances,kind]", "drop=[count]", f"output={found / 'conf'}"]
    assert cli.main_init(words) == 0
    return found


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_resumed_run_is_an_undisturbed_one(backbone, folder, tmp_path, monkeypatch):
    if backbone == "timm":
        pytest.importorskip("timm")
    monkeypatch.chdir(tmp_path)
    words = ["--config-dir", str(folder / "conf"), "task=instances+kind", f"backbone={backbone}", *BACKBONES[backbone]]
    words += ["data.batch_size=4", "trainer.device=cpu", "trainer.precision=fp32", "quiet=true", "lr_schedule=constant"]
    assert cli.main([*words, "trainer.max_epochs=2", "hydra.run.dir=whole"]) == 0
    assert cli.main([*words, "trainer.max_epochs=1", "hydra.run.dir=parts"]) == 0
    half = checkpoint.load(checkpoint.find(tmp_path / "parts", "last"))
    assert cli.main(["resume=parts", "trainer.max_epochs=2"]) == 0
    whole, parts = (checkpoint.load(checkpoint.find(tmp_path / run, "last")) for run in ("whole", "parts"))
    for part in ("model", "optimizer"):
        assert_same(whole[part], parts[part], part)
    with pytest.raises(AssertionError):
        assert_same(half["model"], parts["model"], "model")
