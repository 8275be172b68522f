"""What mtl-init proposes for training, beside the tasks: the backbone of a table, and how long to train."""

import math

from mtl_cli.init.yaml_files import Training

BATCH = 128
LARGE = 20_000
"""Rows from which on ft_transformer is worth its time."""
STEPS, MAX_EPOCHS, DEFAULT_EPOCHS = 2000, 200, 6
TRAIN_SHARE = 0.7
PATIENCE, LEAST_PATIENCE = 0.1, 5
"""Share of the epochs, and number of them, without an improvement after which training stops."""


def table_training(rows: int) -> Training:
    """Return what trains on a table."""
    hints = ["or backbone=ft_transformer, slower and often better on tables of this size"] if rows >= LARGE else []
    return Training(["backbone=tabular", *length(epochs(rows, BATCH))], hints)


def epochs(rows: int, batch_size: int) -> int:
    """Return a number of epochs: small files get more, so that there are some 2000 steps."""
    steps = max(1, math.ceil(TRAIN_SHARE * rows / batch_size))
    return max(DEFAULT_EPOCHS, min(MAX_EPOCHS, math.ceil(STEPS / steps)))


def length(epochs: int) -> list[str]:
    """Return the overrides of how long to train: at most some epochs, and not on when validation stops improving."""
    if epochs <= DEFAULT_EPOCHS:
        return []
    patience = max(LEAST_PATIENCE, math.ceil(PATIENCE * epochs))
    return [f"trainer.max_epochs={epochs}", *([f"early_stopping.patience={patience}"] if patience < epochs else [])]
