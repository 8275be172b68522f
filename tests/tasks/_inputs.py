"""Every kind of task with a field that fits it, random outputs and random targets with and without missing labels.

Kinds are found in the package. What they declare is enough: `field_kind` gives a field, `head_gives` a head, and the
constructor the arguments. Nothing is added here for a new kind, unless it reads a new kind of field.
"""

import inspect
import re

import torch

from mtl_cli.batch import MISSING_CLASS, FieldSpec
from mtl_cli.config.on_hand import components_on_hand
from mtl_cli.heads.base import heads_that_give
from mtl_cli.tasks.base import Task

FIELD_OF = {
    "binary": FieldSpec("class", 2, ("no", "yes"), counts=(30, 10)),
    "class": FieldSpec("class", 4, counts=(5, 10, 20, 5)),
    "multilabel": FieldSpec("multilabel", 3, ("a", "b", "c")),
    "real": FieldSpec("real", mean=(7.0,), std=(2.0,)),
    "count": FieldSpec("count", mean=(4.0,)),
    "ordinal": FieldSpec("ordinal", 5, ("--", "-", "0", "+", "++")),
    "survival": FieldSpec("survival"),
    "ranking": FieldSpec("ranking"),
    "tokens": FieldSpec("tokens", 3, ("B-x", "I-x", "O"), counts=(5, 10, 20)),
    "mask": FieldSpec("mask", 3, ("ground", "disc", "square"), counts=(500, 100, 200)),
    "multimask": FieldSpec("multimask", 3, ("a", "b", "c")),
    "depth": FieldSpec("depth", mean=(4.0,), std=(1.5,)),
    "normals": FieldSpec("normals"),
    "keypoints": FieldSpec("keypoints", shape=(3, 3), columns=("nose", "eye", "ear")),
    "image": FieldSpec("image", shape=(2, 4, 5), mean=(0.4, 0.6), std=(0.2, 0.1)),
    "turn": FieldSpec("class", 4, ("0", "90", "180", "270"), counts=(10, 10, 10, 10)),
    "boxes": FieldSpec("boxes", 2, ("a", "b"), (5,), mean=(8.0, 6.0, 2.0), counts=(30, 10), varying=True),
    "pieces": FieldSpec("pieces", 6, ("[PAD]", "[UNK]", "[END]", "a", "b", "c"), varying=True, longest=4),
}
"""A field by what `Task.field_kind` says."""
LOGS = FieldSpec("real", mean=(2.0,), std=(0.5,))
TWO_COLUMNS = FieldSpec("real", shape=(2,), mean=(100.0, -3.0), std=(20.0, 0.5), columns=("x", "y"))
USUAL = {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0, "delta": 1.0, "k": 3, "spans": "auto",
         "metrics": ["exact_match"]}  # fmt: skip
"""Values of arguments that have no default in the constructor of a kind."""


def options_of(cls: type[Task]) -> dict[str, object]:
    """Return the arguments of a kind without those of every kind; what has a default is left to it."""
    named = [each for each in inspect.signature(cls).parameters.values() if each.kind is not each.KEYWORD_ONLY]
    own = [each.name for each in named if each.name not in ("target", "weight", "head")]
    return {name: USUAL[name] for name in own if inspect.signature(cls).parameters[name].default is inspect._empty}


def head_of(cls: type[Task]) -> object:
    """Return a head that gives what a kind needs, of the package, with its defaults."""
    return next(head for head in heads_that_give(cls.head_gives) if head.__module__.startswith("mtl_cli."))()


def name_of(cls: type[Task]) -> str:
    """Return a class's name as words: HuberRegression is huber_regression."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


FOUND = [cls for cls in components_on_hand(Task, "mtl_cli.tasks") if cls.__module__.startswith("mtl_cli.tasks.")]
CLASSES = {name_of(cls): (cls, options_of(cls)) for cls in FOUND}
"""The class of each kind, and the values of its arguments that have no default."""
FIELDS = {kind: FIELD_OF[cls.field_kind] for kind, (cls, _) in CLASSES.items()} | {
    "regression": TWO_COLUMNS,
    "log_regression": LOGS,
}
KINDS = [kind for kind, (cls, _) in CLASSES.items() if cls.head_gives in ("vector", "sequence", "map")]
"""Kinds whose outputs are one tensor; the others have proofs of their own."""
assert len(KINDS) > 10
ROW_KINDS = [kind for kind in KINDS if CLASSES[kind][0].head_gives == "vector"]
"""Kinds with a label a row; labels of words have proofs of their own in tests/texts."""
SIZE = (4, 5)
"""Height and width of targets that are maps."""
SHAPES = {"mask": SIZE, "multimask": (3, *SIZE), "depth": SIZE, "normals": (3, *SIZE), "image": (2, *SIZE)}
"""Shape of a target of a row, by kind of field, where it is a map."""


def make(kind, field=None, **changes):
    """Return a task named "t" of a kind."""
    cls, options = CLASSES[kind]
    arguments = {"target": "y", "weight": 1.0, "head": head_of(cls), **options, **changes}
    return cls(**arguments, name="t", field=field or FIELDS[kind])


def targets(kind, rows=40, field=None):
    """Return random targets without a missing label."""
    field = field or FIELDS[kind]
    if field.kind in ("class", "ordinal", "tokens", "mask"):
        return torch.randint(field.num_classes, (rows, *SHAPES.get(field.kind, ())))
    if field.kind == "multimask":
        return torch.randint(2, (rows, *SHAPES[field.kind])).float()
    if field.kind == "depth":
        return 1.0 + 6.0 * torch.rand(rows, *SIZE)
    if field.kind == "image":
        return torch.randn(rows, *SHAPES["image"]) + torch.tensor([1.0, -1.0])[:, None, None]
    if field.kind == "normals":
        return torch.nn.functional.normalize(torch.randn(rows, 3, *SIZE) + torch.tensor([0.0, 0.0, 2.0])[:, None, None])
    if field.kind == "multilabel":
        return torch.randint(2, (rows, field.num_classes)).float()
    if field.kind == "count":
        return torch.poisson(torch.full((rows,), field.mean[0] if field.mean else 2.0))
    if field.kind == "survival":
        return torch.stack([torch.randint(1, 15, (rows,)).float(), (torch.rand(rows) < 0.6).float()], dim=1)
    if field.kind == "ranking":
        return torch.stack([torch.randint(2, (rows,)), torch.randint(6, (rows,))], dim=1).float()
    columns = torch.randn(rows, *field.shape)
    return columns * torch.tensor(field.std).squeeze() + torch.tensor(field.mean).squeeze()


def outputs_for(kind, rows=40):
    """Return random outputs of the size of targets, those of dense kinds as maps."""
    task = make(kind)
    return torch.randn(rows, task.num_outputs, *(SIZE if FIELDS[kind].kind in SHAPES else ()))


def with_missing(target):
    """Return targets where a label is missing in rows 0, 3 and 4, and in one entry of row 5 where it has several."""
    target = target.clone()
    missing = torch.nan if target.is_floating_point() else MISSING_CLASS
    target[[0, 3, 4]] = missing
    if target.ndim == 2:
        target[5, 0] = missing
    if target.ndim > 2:
        target[5, ..., 1, 2] = missing  # a pixel
    return target
