"""Warnings of cells of new rows that training did not have, and that may be written or meant otherwise."""

import logging
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtl_cli.errors import some
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.scaling import FAR_AWAY, Scaler
from mtl_cli.tables.vocabulary import UNKNOWN, Vocabulary

logger = logging.getLogger("mtl_cli")

LOOKED_AT, FIRST = 1 << 16, 1_000
"""Rows of a table that are looked at for unknown categories, and for numbers that are far away."""
MISSING_CODE = re.compile(r"-?(9{2,}|8{3,}|7{3,})")
"""Numbers that people write for a missing one."""
FEWEST = 3
"""Cells from which on such a number is told."""


def warn_of_unknown(
    path: Path,
    name: str,
    codes: np.ndarray,
    lookup: np.ndarray,
    values: "Sequence[str] | pa.Array",
    vocabulary: Vocabulary,
) -> None:
    """Warn of a column of unknown categories, and of those that training has but for capitals, spaces or zeros.

    `codes` [N] number `values`, -1 where a cell is missing; `lookup` [V + 1] are the numbers of the values in training.
    """
    present = codes[codes >= 0]
    unknown = present[lookup[present] == UNKNOWN]
    if len(unknown) < 2:
        return
    if len(unknown) > len(present) / 2:
        logger.warning(
            "%s, column '%s': %d of %d cells hold categories that are unknown to the model, such as '%s'. Does the "
            "file write them as the training file does?",
            path, name, len(unknown), len(present), values[int(unknown[0])],
        )  # fmt: skip
        return
    known = {plain(value): value for value in vocabulary.values if value is not None}
    others = {code: str(values[code]) for code in np.unique(unknown).tolist()}
    if alike := {code: known[plain(value)] for code, value in others.items() if plain(value) in known}:
        code = next(iter(alike))
        logger.warning(
            "%s, column '%s': %d cells hold categories that are unknown to the model, which knows them written "
            "otherwise, such as '%s' for '%s'. Write them as the training file does.",
            path, name, int(np.isin(unknown, list(alike)).sum()), others[code], alike[code],
        )  # fmt: skip


def plain(value: str) -> str:
    """Return a category without what people write in several ways: capitals, spaces, letters, zeros in front."""
    return "".join(unicodedata.normalize("NFKC", value).casefold().split()).lstrip("0")


def warn_of_far(path: Path, names: Sequence[str], numbers: np.ndarray, scaler: Scaler) -> None:
    """Warn of columns most of whose numbers [N, columns] lie beyond those of training: the unit may be another one.

    Also of numbers such as -999 that lie there several times: they may stand for a missing one.
    """
    found = numbers[:FIRST, : len(names)]
    low, high = (each[: len(names)] for each in scaler.limits)
    far = (found < low) | (found > high)
    told = np.flatnonzero((far.sum(axis=0) >= 2) & (far.sum(axis=0) > (~np.isnan(found)).sum(axis=0) / 2))
    if len(told):
        at = int(told[0])
        logger.warning(
            "%s: most numbers of %s lie beyond those that the model was trained on, such as %g in '%s' (%g to %g). Are "
            "they in the same unit?",
            path, some([f"'{names[each]}'" for each in told.tolist()]), found[far[:, at], at][0], names[at],
            low[at], high[at],
        )  # fmt: skip
    for at in set(np.flatnonzero(far.sum(axis=0) >= FEWEST).tolist()) - set(told.tolist()):
        several, counts = np.unique(found[far[:, at], at], return_counts=True)
        for value, count in zip(several.tolist(), counts.tolist(), strict=True):
            if count >= FEWEST and MISSING_CODE.fullmatch(f"{value:.15g}"):
                logger.warning(
                    "%s, column '%s': %d cells are %g, beyond the numbers that the model was trained on (%g to %g). If "
                    "it stands for a missing one, leave these cells empty.",
                    path, names[at], count, value, low[at], high[at],
                )  # fmt: skip


def warn_of_far_labels(path: Path, name: str, labels: np.ndarray, mean: float, std: float) -> None:
    """Warn of labels [N] most of which lie beyond those of training, of which mean and deviation are known."""
    present = labels[~np.isnan(labels)]
    low, high = mean - FAR_AWAY * std, mean + FAR_AWAY * std
    far = present[(present < low) | (present > high)]
    if std > 0 and len(far) >= 2 and len(far) > len(present) / 2:
        logger.warning(
            "%s: most labels of '%s' lie beyond those that the model was trained on, such as %g (%g to %g). Are they "
            "in the same unit?",
            path, name, far[0], low, high,
        )  # fmt: skip
