"""Writes a run's records for TensorBoard too, as they come: logger=tensorboard."""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtl_cli.errors import not_installed

logger = logging.getLogger("mtl_cli")
FOLDER = "tensorboard"
"""Folder of a run directory that TensorBoard reads: tensorboard --logdir RUN_DIR/tensorboard."""
NAMES = {"losses": "losses", "weights": "weights", "notes": "notes"}
SINGLE = ("lr", "grad_norm", "selection")


def require() -> None:
    """Look whether TensorBoard is installed.

    Raises:
        UserError: it is not.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise not_installed("logger=tensorboard needs TensorBoard", error, "tensorboard") from error


class TensorBoard:
    """Mirrors records into event files; `step` is where a run continues, whose later events are not shown any more.

    A file that cannot be written ends the mirror with a warning, not the run: metrics.jsonl has everything.
    """

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._failed = False
        self._writer = SummaryWriter(str(folder / FOLDER), purge_step=step + 1 if step else None)

    def write(self, record: Mapping[str, Any]) -> None:
        """Mirror one record."""
        if self._failed:
            return
        try:
            for name, value in scalars(record):
                self._writer.add_scalar(name, value, record["step"])
        except OSError as error:
            self._failed = True
            logger.warning("TensorBoard's files cannot be written any more: %s. metrics.jsonl has everything.", error)

    def close(self) -> None:
        """Write what is left, and close the files."""
        try:
            self._writer.close()
        except OSError as error:
            logger.warning("TensorBoard's files cannot be closed: %s. metrics.jsonl has everything.", error)


def scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a record with their names, such as "losses/letters" and "val/letters/accuracy"."""
    parts = {NAMES[key]: record[key] for key in NAMES if key in record}
    if "metrics" in record:
        parts[str(record["split"])] = record["metrics"]
    named = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
    named |= {key: record[key] for key in SINGLE if key in record}
    for name, value in named.items():
        if isinstance(value, int | float) and math.isfinite(value):
            yield name, float(value)
