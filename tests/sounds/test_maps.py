"""Sounds as maps of time and frequency, learnt by backbones of images; shuffled labels are not learnt."""

import pytest

from mtl_cli.runs import run
from tests import _toy
from tests._kinds import CLASSES, option
from tests.sounds._files import node, tone_set

BACKBONES = {
    "cnn": lambda: option("backbone", "cnn", channels=[8, 16], dropout=0.0),
    "resnet": lambda: option("backbone", "resnet"),
}


def config(table, backbone, epochs, lr):
    dataset = node(table, audio="path", form="map", batch_size=12)
    tasks = {"tone": {**CLASSES, "target": "tone", "weight": 1.0, "dataset": dataset}}
    settings = {"trainer__max_epochs": epochs, "optimizer__lr": lr, "trainer__eval_every": epochs}
    return _toy.config(tasks=tasks, backbone=backbone, trust=[], **settings)


def accuracy(folder, shuffled, name, epochs, lr):
    table = tone_set(folder / str(shuffled), 60, shuffled=shuffled)
    summary = run.train(config(table, BACKBONES[name](), epochs, lr), folder / f"run {shuffled}", [])
    return summary["test"]["tone/accuracy"]


def test_tones_are_learnt_from_maps_and_shuffled_ones_are_not(tmp_path):
    assert accuracy(tmp_path, False, "cnn", 8, 5e-3) > 0.9
    assert accuracy(tmp_path, True, "cnn", 8, 5e-3) < 0.7


@pytest.mark.slow
def test_tones_are_learnt_by_a_residual_network(tmp_path):
    assert accuracy(tmp_path, False, "resnet", 8, 1e-3) > 0.9
