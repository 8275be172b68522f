"""Two processes on data of every kind take the steps of one with two micro-batches, and evaluate to the same digits."""

import pytest

from mtl_cli import cli
from mtl_cli.commands.compose import hydra_session, plain_config
from mtl_cli.ranks.ranks import ALONE
from tests import _kinds
from tests._thinned import thinned
from tests.images._files import blob_set
from tests.ranks import _cases
from tests.ranks._pool import differences

UNET = ["backbone=unet", "backbone.channels=[4,8]"]
COMMON = ["trainer.precision=fp32", "trainer.eval_precision=fp32", "trainer.device=cpu", "data.batch_size=4"]
SCENES = ["segmentation", "depth", "normals", "detection", "keypoints", "count"]
SMALL = {"size": 16, "num_train": 16, "num_val": 8, "num_test": 8}


def composed(words, folder=None):
    with hydra_session(folder) as session:
        return plain_config(session.compose([*words, *COMMON]))


def files(folder, kind):
    """The config of a run on files of a kind."""
    _kinds.write_files(folder)
    return _kinds.config(kind, folder)


def scenes(folder, _):
    config = composed(["task=" + "+".join(f"scenes_{name}" for name in SCENES), *UNET])
    for node in config["tasks"].values():
        node["dataset"] |= SMALL
    return config


def pictures(folder, _):
    """The config of a run on images of files with label images and a class."""
    blob_set(folder)
    words = [f"input={folder / 'table.csv'}", "target=[instances,kind]", f"output={folder / 'conf'}"]
    assert cli.main_init(words) == 0
    return composed(["task=instances+kind", *UNET], folder / "conf")


KINDS = {**dict.fromkeys(_kinds.KINDS, files), "scenes": scenes, "pictures": pictures}


@pytest.mark.parametrize("kind", thinned(KINDS, ["pairs"]))
def test_two_ranks_equal_two_micro_batches_on_every_kind_of_data(two, tmp_path, kind):
    config = KINDS[kind](tmp_path, kind)
    wanted = _cases.kind(ALONE, config)
    assert differences(two.run("kind", config=config), wanted) == []
