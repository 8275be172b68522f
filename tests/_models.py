"""Small real models: tasks, factory and sharing on images of one or two datasets."""

import torch

from mtl_cli.backbones.base import BackboneFactory
from mtl_cli.backbones.cnn import CNN
from mtl_cli.batch import FieldSpec, Inputs, InputSpec
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.model.multi_task_model import MultiTaskModel, build_heads
from mtl_cli.sharing.hard import Hard
from mtl_cli.sharing.independent import Independent
from mtl_cli.tasks.classification import Classification

SPECS = {"digits": InputSpec("image", (1, 8, 8)), "signs": InputSpec("image", (3, 8, 12))}
ONE, TWO = {"a": "digits", "b": "digits"}, {"a": "digits", "b": "digits", "c": "signs"}
SHARING = {"hard": Hard, "independent": Independent}


def task(name, num_classes=3, **changes):
    arguments = {"target": "label", "weight": 1.0, "label_smoothing": 0.0, "head": MLPHead(), "name": name}
    return Classification(**{**arguments, "field": FieldSpec("class", num_classes), **changes})


def examples(dataset_of, rows=2, seed=0):
    stream = torch.Generator().manual_seed(seed)
    names = dict.fromkeys(dataset_of.values())
    return {name: Inputs(torch.randn(rows, *SPECS[name].shape, generator=stream), name) for name in names}


def build(sharing="hard", dataset_of=ONE, seed=0, backbone=None):
    """Return a model, its factory and its tasks; `dataset_of` names the tasks."""
    backbone = backbone or CNN(channels=[3], dense=[5], dropout=0.2, activation="tanh", norm="none", init="default")
    specs = {name: SPECS[name] for name in dict.fromkeys(dataset_of.values())}
    factory = BackboneFactory(backbone, examples(dataset_of), specs, dict(dataset_of), seed)
    tasks = {name: task(name) for name in dataset_of}
    modes = SHARING[sharing](backbone=factory, tasks=list(dataset_of))
    return MultiTaskModel(modes, build_heads(tasks, modes, seed)), factory, tasks
