"""What mtl-init proposes for training, beside the tasks, by the number of rows: overrides, each with its reason.

Measured by scripts/compare_baselines.py; the table is in mtl_cli/backbones/README.md, "Against scikit-learn".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mtl_cli.init.yaml_files import Training

LARGE = 20_000
"""Rows from which on ft_transformer is worth its time."""
TRAIN_SHARE = 0.7
MOST_LOOKS = 30
"""Evaluations of a run on sounds or on pairs of texts, at most: they write texts, which takes time."""
SMALLEST_BATCH, LARGEST_BATCH = 32, 256
STEPS_A_PASS = 16
"""Steps that a pass over the training rows has at least, as far as batches may be that small."""
MAX_STEPS = 5_000
STEPS_A_LOOK, LOOKS = 16, 20
"""Steps between evaluations, at least, and evaluations without a gain after which training stops."""
ROWS_A_PIECE, FEWEST_PIECES, MOST_PIECES = 50, 4, 32
DEFAULT_EPOCHS = 6
FEW_ROWS = 50
"""Rows below which metrics of one split are mostly chance."""
PATIENCE, LEAST_PATIENCE = 0.1, 5
"""Share of the epochs, and number of them, without an improvement after which slower networks stop."""


@dataclass(frozen=True)
class Choice:
    """A value of an option, and why."""

    value: str
    why: str


def table_choices(rows: int) -> dict[str, Choice]:
    """Return what trains on a table of so many rows."""
    training = train_rows(rows)
    pieces = min(MOST_PIECES, max(FEWEST_PIECES, training // ROWS_A_PIECE))
    found = {"backbone": Choice("tabm", "several networks in one, which read steps, bends and lines in numbers")}
    if pieces < MOST_PIECES:
        enough = training >= FEWEST_PIECES * ROWS_A_PIECE
        why = f"{ROWS_A_PIECE} training rows or more in each" if enough else "few rows, few bends"
        found["backbone.pieces"] = Choice(str(pieces), why)
    return {**found, **steady(training)}


def table_training(rows: int) -> Training:
    """Return what trains on a table, as words of the command, and hints."""
    hints = ["or backbone=ft_transformer, slower and often better on tables of this size"] if rows >= LARGE else []
    return Training(overrides(table_choices(rows)), hints)


def few_rows(rows: int) -> list[str]:
    """Return what to know of a file of few rows."""
    if rows >= FEW_ROWS:
        return []
    return [
        f"{rows} rows are few: a metric of the test rows is mostly chance. data.folds=5 data.fold=0,1,2,3,4 with "
        "mtl-train -m tests on all of them, a fold at a time"
    ]


def train_rows(rows: int) -> int:
    """Return how many of the rows are trained on, about."""
    return max(1, round(TRAIN_SHARE * rows))


def steady(training: int) -> dict[str, Choice]:
    """Return training at a constant rate, whose average of weights is evaluated until it no longer gains."""
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, 2 ** int(math.log2(max(1, training // STEPS_A_PASS)))))
    steps = math.ceil(training / batch)
    apart = math.ceil(STEPS_A_LOOK / steps)
    found = {
        "data.batch_size": Choice(str(batch), f"{steps} steps a pass"),
        "trainer.precision": Choice("fp32", "layers this small gain nothing from fewer digits"),
        "lr_schedule": Choice("constant", "training may stop at any time; the average of weights smooths its end"),
        "ema.decay": Choice("0.99", "the average over the last hundred steps or so is evaluated and kept"),
        "trainer.max_epochs": Choice(str(max(2, MAX_STEPS // steps)), f"{MAX_STEPS} steps at most"),
    }
    if apart > 1:
        found["trainer.eval_every"] = Choice(str(apart), f"epochs: {STEPS_A_LOOK} steps or more between evaluations")
    return {**found, "early_stopping.patience": Choice(str(LOOKS), "evaluations without a gain; the best one is kept")}


def length(epochs: int) -> dict[str, Choice]:
    """Return how long a slower network trains: some epochs at most, and not on when validation stops improving."""
    if epochs <= DEFAULT_EPOCHS:
        return {}
    found = {"trainer.max_epochs": Choice(str(epochs), "small files need more passes")}
    patience = max(LEAST_PATIENCE, math.ceil(PATIENCE * epochs))
    if patience < epochs:
        found["early_stopping.patience"] = Choice(str(patience), "evaluations without a gain; the best one is kept")
    return found


def overrides(choices: Mapping[str, Choice]) -> list[str]:
    """Return choices as words of the command."""
    return [f"{key}={choice.value}" for key, choice in choices.items()]


def told(choices: Mapping[str, Choice]) -> list[str]:
    """Return choices for the printed report."""
    return [f"{key}={choice.value}: {choice.why}" for key, choice in choices.items()]
