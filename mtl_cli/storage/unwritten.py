"""The run directory as it is on a rank that does not write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_cli.storage.directory import RunDirectory
from mtl_cli.storage.records import RecordFile


class UnwrittenRecords(RecordFile):
    """Records that nobody keeps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def length(self) -> int:
        """Bytes written so far: none."""
        return 0

    def write(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def cut(self, length: int) -> None:
        """Do nothing."""

    def sync(self) -> int:
        """Return 0."""
        return 0

    def close(self) -> None:
        """Do nothing."""


class UnwrittenDirectory(RunDirectory):
    """The directory of a run whose first rank alone writes; it may not even be there."""

    def __init__(self, path: Path) -> None:
        self.path, self.checkpoints = path, path / "checkpoints"
        self.metrics = UnwrittenRecords(path / "metrics.jsonl")
        self.timing = UnwrittenRecords(path / "timing.jsonl")

    def status(self, status: str, step: int, epoch: int, reason: str | None = None) -> None:
        """Do nothing."""

    def save(self, step: int, state: Mapping[str, Any], best: bool, score: float | None, keep: int) -> None:
        """Do nothing."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
