"""Every kind of task with a field that fits it, random outputs and random targets with and without missing labels."""

import torch

from mtl_cli.batch import MISSING_CLASS, FieldSpec
from mtl_cli.heads.mlp import MLPHead
from mtl_cli.heads.tokens import TokenHead
from mtl_cli.tasks.binary import Binary
from mtl_cli.tasks.classification import Classification
from mtl_cli.tasks.count import Count
from mtl_cli.tasks.multilabel import Multilabel
from mtl_cli.tasks.ordinal import Ordinal
from mtl_cli.tasks.ranking import Ranking
from mtl_cli.tasks.regression import HuberRegression, L1Regression, Regression
from mtl_cli.tasks.survival import Survival
from mtl_cli.tasks.token_classification import TokenClassification

FIELDS = {
    "binary": FieldSpec("class", 2, ("no", "yes"), counts=(30, 10)),
    "classification": FieldSpec("class", 4, counts=(5, 10, 20, 5)),
    "multilabel": FieldSpec("multilabel", 3, ("a", "b", "c")),
    "regression": FieldSpec("real", shape=(2,), mean=(100.0, -3.0), std=(20.0, 0.5), columns=("x", "y")),
    "l1_regression": FieldSpec("real", mean=(7.0,), std=(2.0,)),
    "huber_regression": FieldSpec("real", mean=(7.0,), std=(2.0,)),
    "count": FieldSpec("count", mean=(4.0,)),
    "ordinal": FieldSpec("ordinal", 5, ("--", "-", "0", "+", "++")),
    "survival": FieldSpec("survival"),
    "ranking": FieldSpec("ranking"),
    "token_classification": FieldSpec("tokens", 3, ("B-x", "I-x", "O"), counts=(5, 10, 20)),
}
CLASSES = {
    "binary": (Binary, {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}),
    "classification": (Classification, {"label_smoothing": 0.0}),
    "multilabel": (Multilabel, {}),
    "regression": (Regression, {}),
    "l1_regression": (L1Regression, {}),
    "huber_regression": (HuberRegression, {"delta": 1.0}),
    "count": (Count, {}),
    "ordinal": (Ordinal, {}),
    "survival": (Survival, {}),
    "ranking": (Ranking, {"k": 3}),
    "token_classification": (
        TokenClassification,
        {"head": TokenHead(), "label_smoothing": 0.0, "class_weights": None, "spans": "auto"},
    ),
}
KINDS = list(CLASSES)
ROW_KINDS = [kind for kind in KINDS if kind != "token_classification"]
"""Kinds with a label a row; labels of words have proofs of their own in tests/texts."""


def make(kind, field=None, **changes):
    """Return a task named "t" of a kind."""
    cls, options = CLASSES[kind]
    arguments = {"target": "y", "weight": 1.0, "head": MLPHead(), **options, **changes}
    return cls(**arguments, name="t", field=field or FIELDS[kind])


def targets(kind, rows=40, field=None):
    """Return random targets without a missing label."""
    field = field or FIELDS[kind]
    if field.kind in ("class", "ordinal", "tokens"):
        return torch.randint(field.num_classes, (rows,))
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


def with_missing(target):
    """Return targets where a label is missing in rows 0, 3 and 4, and in one entry of row 5 where it has several."""
    target = target.clone()
    target[[0, 3, 4]] = torch.nan if target.is_floating_point() else MISSING_CLASS
    if target.ndim == 2:
        target[5, 0] = torch.nan
    return target
