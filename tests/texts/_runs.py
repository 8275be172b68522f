"""Whole runs on texts."""

from pathlib import Path
from typing import Any

from mtl_cli.runs import run
from tests import _toy
from tests.sharing._inputs import arguments
from tests.tables._files import defaults

HEADS = {name: {"_target_": f"mtl_cli.heads.{path}", "hidden": []} for name, path in
         {"vector": "mlp.MLPHead", "sequence": "tokens.TokenHead"}.items()}  # fmt: skip
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "tokens": ("token_classification.TokenClassification",
               {"label_smoothing": 0.0, "class_weights": None, "spans": "auto", "head": HEADS["sequence"]}),
    "class": ("classification.Classification", {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}),
    "binary": ("binary.Binary", {"label_smoothing": 0.0, "class_weights": None, "focal_gamma": 0.0}),
    "real": ("regression.Regression", {}),
    "ordinal": ("ordinal.Ordinal", {}),
    "multilabel": ("multilabel.Multilabel", {}),
}  # fmt: skip


def node(kind: str, target: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """Return a task on a dataset node."""
    name, options = TASKS[kind]
    own = {"_target_": f"mtl_cli.tasks.{name}", "target": target, "weight": 1.0, "head": HEADS["vector"]}
    return {**own, **options, "dataset": dataset}


def dataset(kind: str, path: Path, targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the node of a dataset of texts or sentences on a file."""
    changes = {"path": str(path), "targets": targets, "tokenizer": "words", "batch_size": 32} | changes
    return {"_target_": f"mtl_cli.datasets.{kind}.{kind.title()}", **defaults(kind), **changes}


def backbone(name: str, **changes: Any) -> dict[str, Any]:
    """Return the node of a backbone, small."""
    return {**arguments(f"backbone/{name}"), **changes}


def train(tasks: dict[str, Any], folder: Path, backbone: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the summary of a run."""
    return run.train(_toy.config(tasks=tasks, backbone=backbone, **settings), folder, [])
